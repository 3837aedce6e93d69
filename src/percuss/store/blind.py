"""Files that a reader sees must not tell which are attacked: names, sizes, headers, dates and order are compared."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from percuss.store.png import chunks

#: Time that every file of a pack carries: seconds since 1970, here 2000-01-01.
STAMP = 946684800
#: What the list of a reader may say of an image.
FIELDS = frozenset({"file", "set", "sha256"})
LIST = "manifest.json"
#: From so many cases on, an order in which one arm stands in one row is no chance.
_ROW = 5


def stamp(path: Path) -> None:
    """Give a file the time that all files of a pack have."""
    os.utime(path, (STAMP, STAMP))


def leaks(folder: Path, arms: Mapping[str, str]) -> list[str]:
    """What of the files in a reader's folder could tell the arm of an image, in words; empty where nothing does.

    Args:
        folder: the images and their list, as handed to a reader.
        arms: ``original`` or ``perturbed`` by file name, from the key.

    Compared are names, which files there are, length, chunks and headers of the PNG, encoding of the pixels, time
    and mode of the file, the fields of the list, and the order. Pixels are not: who compares two images by program
    finds the change, and no file can hide that.
    """
    there = sorted(path.name for path in folder.iterdir())
    found = []
    if there != sorted([*arms, LIST]):
        odd = sorted(set(there) ^ {*arms, LIST})
        found.append(f"other files than the key knows: {', '.join(odd[:5])}")
    names = [name for name in arms if name in there]
    if any(not re.fullmatch(r"\d+\.png", name) for name in names) or len({len(name) for name in names}) > 1:
        found.append(f"names that are not plain numbers of one length: {names[0]}, ...")
    for what, of in _TRAITS.items():
        values = {of(folder / name) for name in names}
        if len(values) > 1:
            found.append(f"{what} differs between files: {', '.join(sorted(map(str, values))[:3])}")
    return found + _told_by_list(folder / LIST) + _told_by_order(arms)


def _layout(path: Path) -> str:
    return " ".join(f"{kind.decode('latin-1')}:{len(content)}" for kind, content in chunks(path.read_bytes()))


def _header(path: Path) -> str:
    parts = chunks(path.read_bytes())
    return " ".join(content.hex() for kind, content in parts if kind != b"IDAT")


def _packing(path: Path) -> str:
    """The head of the compressed stream: method, level, kind and length of the first block."""
    return next((content[:7].hex() for kind, content in chunks(path.read_bytes()) if kind == b"IDAT"), "none")


_TRAITS: dict[str, Callable[[Path], object]] = {
    "the length": lambda path: path.stat().st_size,
    "the row of chunks": _layout,
    "the header": _header,
    "the packing of the pixels": _packing,
    "the time": lambda path: path.stat().st_mtime_ns,
    "the mode": lambda path: path.stat().st_mode,
}


def _told_by_list(path: Path) -> list[str]:
    """Fields of the list that say more than file, set and hash."""
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    told = sorted({key for item in content["images"] for key in item} - FIELDS)
    return [f"the list says more than it may: {', '.join(told)}"] if told else []


def _told_by_order(arms: Mapping[str, str]) -> list[str]:
    """Whether all images of one arm stand in one row."""
    row: Sequence[str] = [arms[name] for name in sorted(arms)]
    changes = sum(one != two for one, two in itertools.pairwise(row))
    few = min((row.count(arm) for arm in set(row)), default=0)
    return ["the order: one arm stands in one row"] if changes < 2 and few >= _ROW else []
