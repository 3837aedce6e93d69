"""Files with labels, from one folder per class or from a table, for readers whose files hold several images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import DataError
from percuss.core.images import Task
from percuss.data import csv as tables
from percuss.data.folder import class_folders
from percuss.data.labels import check_classes, class_order

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
    if not root.is_dir():
        raise DataError("the image folder does not exist", value=location, next_step=f"check the path behind {scheme}:")
    homes = class_folders(root, is_image)
    found = [(home, split, path) for home, split in homes for path in sorted(home.rglob("*")) if is_image(path)]
    if not found:
        raise DataError(
            "the folder holds no images",
            value=location,
            allowed=f"PATH/CLASS/... with files that {scheme} reads",
            next_step="put the files of each class into a folder of its own, or give a table with path and label",
        )
    classes = class_order(home.name for home, _ in homes)
    for name in classes:
        if not any(home.name == name for home, _, _ in found):
            raise DataError("a class folder holds no images", value=name, next_step="fill it or remove it")
    check_classes(classes, "classify", f"the folder {location}")
    files = [
        Source(path.relative_to(root).as_posix(), path, classes.index(home.name), split) for home, split, path in found
    ]
    return "classify", classes, files


def _from_table(location: str, options: Mapping[str, str]) -> tuple[Task, tuple[str, ...], list[Source]]:
    table = tables.open_set(location, options)
    files = [
        Source(entry.id, Path(entry.source), entry.target, entry.split, entry.group, table.masks.get(entry.id))
        for entry in table.entries
    ]
    return table.task, table.classes, files
