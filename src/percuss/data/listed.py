"""Image files listed in a set's own table: finding both in copies that lay them out differently."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from percuss.core.errors import DataError
from percuss.core.images import Entry

Row = tuple[int, dict[str, str]]


def files_below(root: Path) -> list[Path]:
    """Every file below a folder, by path; hidden ones and those of archive tools (``__MACOSX``) left out."""
    found = []
    for home, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        found += [Path(home) / name for name in sorted(names) if not name.startswith(".")]
    return found


def table_among(files: Iterable[Path], pattern: str, what: str) -> Path | None:
    """The one file whose name matches ``pattern`` whole, in any case; None where there is none.

    DataError where there are several that differ in size: two editions of one table contradict each other.
    """
    found = [path for path in files if re.fullmatch(pattern, path.name, re.IGNORECASE)]
    if len({path.stat().st_size for path in found}) > 1:
        raise DataError(
            f"there are several {what}",
            value=" and ".join(str(path) for path in found[:2]),
            allowed="one",
            next_step="move the others out of the folder",
        )
    return found[0] if found else None


def needed_table(files: Iterable[Path], pattern: str, *, what: str, named: str) -> Path:
    """As ``table_among``, and DataError saying what it is ``named`` where it is absent."""
    found = table_among(files, pattern, what)
    if found is None:
        raise DataError(
            f"the folder holds no {what}", allowed=named, next_step="put it into the folder, as distributed"
        )
    return found


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """Rows with their line numbers, values stripped; commas or tabs; unnamed columns at the end are left out.

    DataError where the table cannot be read, lacks one of ``columns``, holds no row, or a row has odd values.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            tabs = "\t" in stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter="\t" if tabs else ",", strict=True)
            raw = [(reader.line_num, [value.strip() for value in row]) for row in reader if any(row)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(
            "the table cannot be read", value=f"{path}: {error}", allowed="UTF-8, commas or tabs"
        ) from error
    header = raw[0][1] if raw else []
    missing = [name for name in columns if header.count(name) != 1]
    if missing:
        raise DataError(
            f"the table has no column {missing[0]}, or several",
            value=f"{path}: {', '.join(header)}",
            allowed=", ".join(columns),
            next_step="give the table as distributed",
        )
    if len(raw) < 2:
        raise DataError("the table holds no images", value=str(path))
    named = [index for index, name in enumerate(header) if name]
    for line, row in raw[1:]:
        if len(row) <= named[-1] or any(row[len(header) :]):
            raise DataError(
                f"line {line} of the table has more or fewer values than the header",
                value=str(path),
                next_step="load the table anew; it may be cut off",
            )
    return [(line, {header[index]: row[index] for index in named}) for line, row in raw[1:]]


def image_index(files: Iterable[Path], pattern: str) -> dict[str, Path]:
    """Image files by the text that ``pattern`` captures of their name, in any case of letters.

    Mirrors hold some folders twice: equal copies count once, and copies of different size are a DataError.
    """
    rule, found = re.compile(pattern, re.IGNORECASE), dict[str, Path]()
    for path in files:
        match = rule.fullmatch(path.name)
        if match is None:
            continue
        first = found.setdefault(match[1].lower(), path)
        if first != path and first.stat().st_size != path.stat().st_size:
            raise DataError(
                "two different files hold one image",
                value=f"{first} and {path}",
                next_step="point at the folder with one of the copies, or move the other away",
            )
    return found


def with_files(entries: Sequence[Entry], index: Mapping[str, Path], where: Path) -> tuple[list[Entry], int]:
    """Entries whose image is in ``index`` (by ``source``, in lower case), with its path; and how many are not.

    DataError where no image of the table is there at all.
    """
    found = [
        replace(entry, source=str(index[entry.source.lower()])) for entry in entries if entry.source.lower() in index
    ]
    if not found:
        raise DataError(
            "none of the table's images lies in the folder",
            value=f"{where}: {entries[0].source}" if entries else str(where),
            next_step="unpack the image archives into the folder",
        )
    return found, len(entries) - len(found)


def counted(**reasons: int) -> dict[str, int]:
    """The counts above zero, with spaces for underscores in their names."""
    return {name.replace("_", " "): count for name, count in reasons.items() if count}
