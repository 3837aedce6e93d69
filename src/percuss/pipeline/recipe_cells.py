"""Cells of a recipe's tables: found in the files of its steps by paths, and written as text.

A cell is ``STEP: PATH | FORMAT``. PATH goes into the step's JSON by keys parted with `` > ``; ``[key=value, ...]``
behind a list picks the first record that has those values, ``[3]`` a place. FORMAT is ``share`` (per cent with its
interval), ``count`` (619 of 702; 88.2 %), ``number`` (three digits, with spread or interval), ``size`` (three
significant digits), or ``text``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from percuss.core.recipe import Cell, FilledTable, Protocol, Published, Rows, TableSpec
from percuss.core.results import Interval
from percuss.pipeline.recipe import combinations, filled, put_in, step_name
from percuss.report.numbers import bracket_plain, counted_share, decimal, percent, plain, share

#: What a cell without value shows.
NOTHING = "–"
_PICK = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True)
class Source:
    """One data set: the JSON file of each finished step, and the values that hold there."""

    files: Mapping[str, Path]
    values: Mapping[str, Any]


def fill(table: TableSpec, sources: Mapping[str, Source], *, protocol: Protocol) -> FilledTable:
    """A table with the numbers of the steps; ``sources`` by the name of the data set."""
    rows: list[tuple[Cell, ...]] = []
    text: list[tuple[str, ...]] = []
    said: list[tuple[str, ...]] = []
    blank = tuple(NOTHING for _ in table.published)
    first = next(iter(sources.values()))
    for spec in table.rows:
        for one in combinations(spec.each, first.values):
            labels = tuple(str(filled(put_in(label, first.values), one)) for label in spec.label)
            found = [_cell(cell, one, source) for source in sources.values() for cell in _cells(spec, protocol)]
            rows.append((*labels, *(value for value, _ in found)))
            text.append((*labels, *(shown for _, shown in found)))
            said.append(spec.published.get(" ".join(labels), blank))
    several = len(sources) > 1
    measured = [f"{head}, {name}" if several else head for name in sources for head in table.columns]
    published = Published(columns=table.published, rows=tuple(said), source=table.source) if table.published else None
    return FilledTable(
        id=table.id,
        title=table.title,
        columns=(*table.words, *measured),
        words=len(table.words),
        rows=tuple(rows),
        text=tuple(text),
        published=published,
        notes=table.notes,
    )


def _cells(spec: Rows, protocol: Protocol) -> Sequence[str]:
    return spec.cells_paper if protocol == "paper" and spec.cells_paper else spec.cells


def _cell(cell: str, names: Mapping[str, Any], source: Source) -> tuple[Cell, str]:
    """Value and text of a cell; None and a dash where the step was left out or says nothing there."""
    step, _, rest = cell.partition(":")
    path, _, form = rest.rpartition(" | ")
    file = source.files.get(step_name(step.strip(), names))
    if file is None or not file.exists():
        return None, NOTHING
    where = str(filled(put_in(path, source.values), names)).strip()
    return shown(look_up(_read(file), where), form.strip())


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def look_up(content: Any, path: str) -> Any:
    """The value at a path; None where there is none."""
    for part in path.split(" > "):
        head = part.split("[", 1)[0].strip()
        if head:
            content = content.get(head) if isinstance(content, dict) else None
        for pick in _PICK.findall(part[len(part.split("[", 1)[0]) :]):
            content = _picked(content, pick)
        if content is None:
            return None
    return content


def _picked(content: Any, pick: str) -> Any:
    if not isinstance(content, list):
        return None
    if "=" not in pick:
        place = int(pick)
        return content[place] if -len(content) <= place < len(content) else None
    wanted = [part.strip().partition("=")[::2] for part in pick.split(",")]
    records = (item for item in content if isinstance(item, dict))
    return next((item for item in records if all(str(item.get(key)) == value for key, value in wanted)), None)


def shown(value: Any, form: str) -> tuple[Cell, str]:
    """A value as a cell and as text; mean and standard deviation as ``0.890 ± 0.014``."""
    if isinstance(value, dict):
        return _record(value, form)
    if value is None or isinstance(value, list):
        return None, NOTHING
    if isinstance(value, str):
        return value, value
    if isinstance(value, bool):
        return str(value), str(value)
    if form in ("share", "count"):
        return value, percent(float(value))
    return value, plain(float(value))


def _record(value: dict[str, Any], form: str) -> tuple[Cell, str]:
    if "mean" in value:
        if value["mean"] is None:
            return None, NOTHING
        spread = "" if value.get("sd") is None else f" ± {value['sd']:.3f}"
        return value["mean"], f"{value['mean']:.3f}{spread}"
    try:
        interval = Interval.model_validate(value)
    except ValidationError:
        return None, NOTHING
    if interval.value is None:
        return None, NOTHING
    writers = {"share": share, "count": counted_share, "size": bracket_plain}
    return interval.value, writers.get(form, decimal)(interval)
