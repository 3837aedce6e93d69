"""The reference of CAMELYON16: class and centre of slides, as a CSV with a header or without one."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import DataError

CENTRES = ("RUMC", "UMCU")
_CLASSES = {"tumor": True, "tumour": True, "normal": False, "negative": False}


@dataclass(frozen=True)
class Reference:
    """What a reference says of a slide.

    Attributes:
        tumour: whether it holds tumour.
        kind: the third column as it stands, such as "macro" or "IDC"; "" where there is none.
        centre: "RUMC" or "UMCU", None where the file has no such column.
    """

    tumour: bool
    kind: str
    centre: str | None


def find_reference(path: Path, name_of: Callable[[str], str]) -> dict[str, Reference]:
    """As ``read_reference``; empty where there is no such file."""
    return read_reference(path, name_of) if path.is_file() else {}


def read_reference(path: Path, name_of: Callable[[str], str]) -> dict[str, Reference]:
    """The slides of a reference by name.

    Args:
        path: the CSV. With a header its columns are found by name (image, class, type, center); without one they are
            slide, class and type.
        name_of: brings a slide's name to its plain form.

    Raises:
        DataError: unreadable, empty, a row of too few columns, an unknown class or centre, or two rows that contradict
            each other; line numbers are named.
    """
    try:
        rows = [
            row for row in csv.reader(path.read_text("utf-8-sig").splitlines()) if any(cell.strip() for cell in row)
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("the reference cannot be read", value=f"{path}: {error}") from error
    if not rows:
        raise DataError("the reference is empty", value=path)
    places = _columns(path, [cell.strip().lower() for cell in rows[0]])
    named = places != _WITHOUT_HEADER
    found: dict[str, Reference] = {}
    for line, row in enumerate(rows[1:] if named else rows, 2 if named else 1):
        cells = [cell.strip() for cell in row]
        where = f"{path}: row {line}: {','.join(cells)}"
        if len(cells) <= max(places["image"], places["class"]) or not cells[places["image"]]:
            raise DataError("a row of the reference lacks its slide or class", value=where)
        entry = _entry(cells, places, where)
        name = name_of(cells[places["image"]])
        if found.setdefault(name, entry) != entry:
            raise DataError("two rows of the reference contradict each other", value=where, allowed=str(found[name]))
    return found


_WITHOUT_HEADER = {"image": 0, "class": 1, "type": 2}


def _columns(path: Path, first: list[str]) -> dict[str, int]:
    if "image" in first and "class" in first:
        names = {"image": "image", "class": "class", "type": "type", "center": "centre", "centre": "centre"}
        return {names[cell]: place for place, cell in enumerate(first) if cell in names}
    if len(first) > 1 and first[1] in _CLASSES:
        return _WITHOUT_HEADER
    raise DataError(
        "the reference has neither a known header nor known classes",
        value=f"{path}: {','.join(first)}",
        allowed="image,class,type,center, or rows such as test_001,Tumor,IDC",
    )


def _entry(cells: list[str], places: dict[str, int], where: str) -> Reference:
    def cell(name: str) -> str:
        place = places.get(name)
        return cells[place] if place is not None and place < len(cells) else ""

    tumour = _CLASSES.get(cell("class").lower())
    if tumour is None:
        raise DataError("unknown class in the reference", value=where, allowed=", ".join(_CLASSES))
    centre = cell("centre")
    # The bucket's file counts the centres.
    known = {"": None, "0": CENTRES[0], "1": CENTRES[1], CENTRES[0]: CENTRES[0], CENTRES[1]: CENTRES[1]}
    if centre.upper() not in known:
        raise DataError("unknown centre in the reference", value=where, allowed="0 (RUMC), 1 (UMCU)")
    return Reference(tumour, cell("type"), known[centre.upper()])
