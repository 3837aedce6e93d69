"""Files with labels, from one folder per class or from a table, for readers whose files hold several images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import DataError
from percuss.core.images import Task
from percuss.data import csv as tables
from percuss.data.class_folders import classed_files

#: Options of the table, where there is one.
TABLE_OPTIONS = ("task", *(f"{name}_column" for name in ("path", "label", "name", "group", "split", "mask")))


@dataclass(frozen=True)
class Source:
    """One file: its id (path below the folder or as in the table), label, and what else is declared."""

    id: str
    path: Path
    target: int | tuple[int, ...]
    split: str | None = None
    group: str | None = None
    mask: Path | None = None


def labelled_files(
    location: str, options: Mapping[str, str], *, scheme: str, is_image: Callable[[Path], bool]
) -> tuple[Task, tuple[str, ...], list[Source]]:
    """Task, classes and files of ``location``: a folder with one folder per class, or a table whose name ends in .csv.

    Below a class folder files may lie at any depth. DataError where there is nothing to read or a label is missing.
    """
    root = Path(location).expanduser()
    if root.suffix.lower() == ".csv":
        return _from_table(location, {name: value for name, value in options.items() if name in TABLE_OPTIONS})
    unused = [name for name in options if name in TABLE_OPTIONS]
    if unused:
        raise DataError("the option speaks of a table, and the data are a folder", value=unused[0])
    classes, found = classed_files(
        location,
        scheme=scheme,
        is_image=is_image,
        files=f"PATH/CLASS/... with files that {scheme} reads",
        otherwise="give a table with path and label",
    )
    files = [Source(item.path.relative_to(root).as_posix(), item.path, item.target, item.split) for item in found]
    return "classify", classes, files


def _from_table(location: str, options: Mapping[str, str]) -> tuple[Task, tuple[str, ...], list[Source]]:
    table = tables.open_labelled(location, options)
    files = [
        Source(entry.id, Path(entry.source), entry.target, entry.split, entry.group, table.masks.get(entry.id))
        for entry in table.entries
    ]
    return table.task, table.classes, files
