"""Reads the pages: entries, links, runnable blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#+\s+(?P<text>.+?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```(?P<kind>[\w-]*)[^\n]*\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(?P<code>[^`\n]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
FINDING = re.compile(r"\bFinding\(\s*(?:id=)?\"(?P<id>[a-z0-9-]+)\"")


@dataclass(frozen=True)
class Block:
    """A fenced block, its language, the line it starts on and the note above it (``run``, ``not run: why``)."""

    kind: str
    body: str
    line: int
    note: str


def blocks(text: str) -> list[Block]:
    """Fenced blocks in order; the note is an HTML comment on the line above the fence."""
    found = []
    for match in FENCE.finditer(text):
        above = text[: match.start()].rstrip("\n").rpartition("\n")[2].strip()
        note = re.fullmatch(r"<!--\s*(.*?)\s*-->", above)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["kind"], match["body"], line, note[1] if note else ""))
    return found


def unmarked(text: str) -> list[int]:
    """Lines of python and console blocks that say neither ``run`` nor ``not run: reason``."""
    return [
        block.line
        for block in blocks(text)
        if block.kind in ("python", "console") and not re.fullmatch(r"run|not run: \S.*", block.note)
    ]


def commands(block: Block) -> list[str]:
    """Commands of a console block: lines behind ``$ ``, joined where they end in a backslash."""
    joined = block.body.replace("\\\n", " ")
    return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]


def options_named(text: str) -> set[str]:
    """Options, ``--like-this``, in any text."""
    return set(OPTION.findall(text))


def inline_code(text: str) -> str:
    """What a page has between single backticks, a line each."""
    return "\n".join(match["code"] for match in INLINE.finditer(text))


def says_nothing(page: Path) -> bool:
    """Whether a page has no heading, or next to nothing below it."""
    text = page.read_text(encoding="utf-8").strip()
    return not text.startswith("# ") or len(text.partition("\n")[2].strip()) < 80


def anchor(heading: str) -> str:
    """The anchor that a heading gets: lower case, spaces to hyphens, punctuation dropped."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda m: m[1] or "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    """Relative links of a page whose file or heading is not there."""
    found = []
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in LINK.finditer(text):
        target = match["target"]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        path = (page.parent / name) if name else page
        if not path.exists():
            found.append(f"{page.name}: {target}: no such file")
        elif fragment and path.suffix == ".md":
            names = {anchor(item["text"]) for item in HEADING.finditer(path.read_text(encoding="utf-8"))}
            if fragment not in names:
                found.append(f"{page.name}: {target}: no such heading")
    return found


def finding_ids(source: Path) -> set[str]:
    """Ids of every finding that the sources can store."""
    return {
        match["id"] for path in source.rglob("*.py") for match in FINDING.finditer(path.read_text(encoding="utf-8"))
    }


def missing(names: set[str], text: str) -> list[str]:
    """Names that the text does not hold as `name`, whole."""
    return sorted(name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))


def without_page(names: set[str], folder: Path) -> list[str]:
    """Names without an own page ``folder/NAME.md`` or a heading in ``folder.md`` that holds the name."""
    single = folder.with_suffix(".md")
    text = single.read_text(encoding="utf-8") if single.exists() else ""
    heads = "\n".join(match["text"] for match in HEADING.finditer(text))
    left = {name for name in names if not any((folder / f"{n}.md").exists() for n in (name, name.replace("_", "-")))}
    return missing(left, heads)
