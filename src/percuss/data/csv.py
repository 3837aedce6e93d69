"""csv:PATH, a table with a path and a label for each image, and split, patient and mask where known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import Entry, ImageSet, Task
from percuss.data.csv_maps import open_maps
from percuss.data.decode import READING_OPTIONS, reading
from percuss.data.files import FileSet
from percuss.data.labels import check_classes, class_order, target_of
from percuss.data.map_options import MAP_OPTIONS
from percuss.data.options import check_names, choice, spec_text
from percuss.data.splits import check_entries, split_name, with_splits
from percuss.data.table import check_paths, check_splits, column, needed_column, table_rows

_COLUMNS = tuple(f"{name}_column" for name in ("path", "label", "name", "group", "split", "mask"))
OPTIONS = (*READING_OPTIONS, "split", "seed", "task", *_COLUMNS)
TASKS = ("classify", "multilabel")
_SEPARATOR = "|"


@dataclass(frozen=True)
class _Columns:
    """Header names of the columns in use; None where the table has none."""

    path: str
    label: str
    name: str | None
    group: str | None
    split: str | None
    mask: str | None


def open_set(location: str, options: Mapping[str, str]) -> ImageSet:
    """Images listed in a UTF-8, comma-separated table; ids are the paths as written, relative to the table.

    Options: the reading options, ``split`` and ``seed`` (make splits), ``task=multilabel`` (labels separated
    by ``|``), and ``path_column``, ``label_column``, ``name_column``, ``group_column``, ``split_column``,
    ``mask_column`` for other column names. ``task=segment`` takes class maps in place of labels, with options of its
    own (``percuss.data.csv_maps``). DataError where the table or a column is missing or contradicts itself.
    """
    if choice(options, "task", (*TASKS, "segment")) == "segment":
        return open_maps(location, options)
    for name in options:
        if name in (*MAP_OPTIONS, "instances_column"):
            raise DataError(f"the option {name} is for class maps", value=options[name], next_step="give ?task=segment")
    return open_labelled(location, options)


def open_labelled(location: str, options: Mapping[str, str]) -> FileSet:
    """As ``open_set``, for tables with labels alone."""
    check_names(options, OPTIONS, "csv")
    task: Task = "multilabel" if choice(options, "task", TASKS) == "multilabel" else "classify"
    table = Path(location).expanduser()
    header, rows = table_rows(table)
    columns = _columns(header, options)
    labels = [_labels(row[columns.label], line, task) for line, row in rows]
    keys = class_order(label for found in labels for label in found)
    classes = _names([row for _, row in rows], labels, keys, column=columns.name)
    check_classes(classes, task, f"the table {location}")
    check_splits(rows, columns.split)
    entries = [
        Entry(
            row[columns.path],
            target_of(found, keys, task),
            split_name(row[columns.split]) if columns.split and row[columns.split] else None,
            (row[columns.group] or None) if columns.group else None,
            str(table.parent / row[columns.path]),
        )
        for (_, row), found in zip(rows, labels, strict=True)
    ]
    check_paths(rows, [entry.source for entry in entries], columns.path)
    entries = with_splits(entries, options)
    check_entries(entries)
    masks = {
        row[columns.path]: table.parent / row[columns.mask]
        for _, row in rows
        if columns.mask is not None and row[columns.mask]
    }
    return FileSet(
        spec_text("csv", location, options), task, classes, entries=entries, how=reading(options), masks=masks
    )


def _columns(header: list[str], options: Mapping[str, str]) -> _Columns:
    path = needed_column(header, options, "path")
    # label_name speaks of the column label; it says nothing about another label column.
    name = column(header, options, "name", defaults=("label_name",) if "label_column" not in options else ())
    label, names = name, None
    if name is None or "label" in header or "label_column" in options:
        label, names = needed_column(header, options, "label"), name
    assert label is not None
    group, split = (
        column(header, options, "group", defaults=("patient", "group")),
        column(header, options, "split", defaults=("split",)),
    )
    return _Columns(path, label, names, group, split, column(header, options, "mask", defaults=("mask",)))


def _labels(text: str, line: int, task: Task) -> list[str]:
    if task == "multilabel":
        return [part.strip() for part in text.split(_SEPARATOR) if part.strip()]
    if not text or text.lower() in ("nan", "na", "null"):
        raise DataError(f"line {line} of the table has no label", value=repr(text), next_step="label or remove it")
    if _SEPARATOR in text:
        raise DataError(f"line {line} of the table has several labels", value=text, next_step="give ?task=multilabel")
    return [text]


def _names(
    rows: list[dict[str, str]], labels: list[list[str]], keys: tuple[str, ...], *, column: str | None
) -> tuple[str, ...]:
    """Class names in the order of ``keys``: from the column of names where every label has exactly one."""
    if column is None:
        return keys
    found: dict[str, str] = {}
    for row, numbers in zip(rows, labels, strict=True):
        names = [part.strip() for part in row[column].split(_SEPARATOR)] if len(numbers) > 1 else [row[column]]
        if numbers and len(names) != len(numbers):
            raise DataError("labels and their names differ in number", value=row[column])
        for number, name in zip(numbers, names, strict=False):
            if not name or found.setdefault(number, name) != name:
                raise DataError(
                    f"the label {number} has two names, or none",
                    value=f"{found.get(number)!r} and {name!r}",
                    next_step=f"mend the column {column}",
                )
    names = [found[key] for key in keys]
    if len(set(names)) < len(names):
        raise DataError("two labels have the same name", value=", ".join(names))
    return tuple(names)


def miniature(folder: Path) -> str:
    """Write twelve tiny 16-bit images with masks, things, patients and splits, and a table; return its spec."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,label,label_name,split,patient,mask,instances"]
    for number in range(12):
        pixels = (np.arange(48).reshape(6, 8) * 1300 + number).astype(np.uint16)
        Image.fromarray(pixels).save(folder / f"image{number:02d}.png")
        mask = (pixels > 30000).astype(np.uint8)
        Image.fromarray(mask).save(folder / f"mask{number:02d}.png")
        Image.fromarray(mask * (1 + np.arange(8, dtype=np.uint8) // 4)).save(folder / f"things{number:02d}.png")
        label, split = number % 2, ("train", "val", "test")[number // 4]
        name = ("normal", "tumour")[label]
        files = f"mask{number:02d}.png,things{number:02d}.png"
        lines.append(f"image{number:02d}.png,{label},{name},{split},p{number // 2},{files}")
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"csv:{table}"
