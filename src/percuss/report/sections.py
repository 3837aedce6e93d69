"""A plain offline page of sections with tables, charts and pictures, and the same tables as text for a terminal."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from percuss.core.outcome import Finding
from percuss.report.schema import write_text
from percuss.report.templates import environment, style


@dataclass(frozen=True)
class Table:
    """Rows of text below a head; the first ``words`` columns are words, the others numbers."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    words: int = 1
    caption: str = ""

    def text(self) -> str:
        """The table in columns of plain text, caption above."""
        rows = [self.head, *self.body]
        wide = [max(len(row[i]) for row in rows) for i in range(len(self.head))]
        lines = [
            "  ".join(
                c.ljust(w) if i < self.words else c.rjust(w) for i, (c, w) in enumerate(zip(row, wide, strict=True))
            )
            for row in rows
        ]
        return "\n".join([*([self.caption] if self.caption else []), *(line.rstrip() for line in lines)])


@dataclass(frozen=True)
class Panel:
    """Part of a figure: a title, and a chart or pictures in a row, each a pair of its caption and the bytes of a PNG.

    ``lines`` say more about the pictures; ``wide`` shows each in its own width, below each other.
    """

    title: str
    chart: Markup | None = None
    pictures: tuple[tuple[str, bytes], ...] = ()
    lines: tuple[str, ...] = ()
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """One part of a page; pictures are pairs of a text for screen readers and a data address."""

    title: str
    paragraphs: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    charts: tuple[Markup, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    panels: tuple[Panel, ...] = ()


def write_sections(path: Path, sections: Sequence[Section], *, title: str, meta: str, version: str) -> Path:
    """Write a page of sections, by rename, and give its path; RunError where it cannot be written."""
    pages = environment()
    pages.filters["source"] = as_source
    template = pages.get_template("sections.html.jinja")
    write_text(path, template.render(sections=sections, title=title, meta=meta, version=version, css=style()))
    return path


def as_source(png: bytes) -> str:
    """A PNG as the address of a picture inside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
