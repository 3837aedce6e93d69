"""csv:PATH, a table with a path and a label for each image, and split, patient and mask where known."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from percuss.core.errors import DataError, nearest
from percuss.core.images import Entry, Task
from percuss.data.decode import READING_OPTIONS, reading
from percuss.data.files import FileSet
from percuss.data.labels import check_classes, class_order, target_of
from percuss.data.options import check_names, choice, spec_text
from percuss.data.splits import check_entries, split_name, with_splits

OPTIONS = (
    *READING_OPTIONS,
    "split",
    "seed",
    "task",
    *(f"{name}_column" for name in ("path", "label", "name", "group", "split", "mask")),
)
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


def open_set(location: str, options: Mapping[str, str]) -> FileSet:
    """Images listed in a UTF-8, comma-separated table; ids are the paths as written, relative to the table.

    Options: the reading options, ``split`` and ``seed`` (make splits), ``task=multilabel`` (labels separated
    by ``|``), and ``path_column``, ``label_column``, ``name_column``, ``group_column``, ``split_column``,
    ``mask_column`` for other column names. DataError where the table or a column is missing or contradicts itself.
    """
    check_names(options, OPTIONS, "csv")
    table = Path(location).expanduser()
    header, rows = _rows(table)
    columns = _columns(header, options)
    task: Task = "multilabel" if choice(options, "task", ("classify", "multilabel")) == "multilabel" else "classify"
    labels = [_labels(row[columns.label], line, task) for line, row in rows]
    keys = class_order(label for found in labels for label in found)
    classes = _names([row for _, row in rows], labels, keys, column=columns.name)
    check_classes(classes, task, f"the table {location}")
    _check_splits([row for _, row in rows], columns.split)
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
    _check_paths(rows, entries, columns.path)
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


def _rows(table: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Header and rows with their line numbers, values stripped."""
    if not table.is_file():
        raise DataError("the table does not exist", value=str(table), next_step="check the path behind csv:")
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = header
            raw = [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            "the table cannot be read",
            value=f"{table}: {error}",
            allowed="UTF-8, commas",
            next_step="save it as CSV in UTF-8",
        ) from error
    for line, row in raw:
        if None in row or None in row.values():
            raise DataError(f"line {line} of the table has more or fewer values than the header", value=str(table))
    if len(set(header)) < len(header):
        raise DataError("two columns of the table have the same name", value=", ".join(header))
    if not raw:
        raise DataError("the table holds no images", value=str(table))
    return header, [(line, {name: value.strip() for name, value in row.items()}) for line, row in raw]


def _columns(header: list[str], options: Mapping[str, str]) -> _Columns:
    def find(role: str, *defaults: str) -> str | None:
        asked = options.get(f"{role}_column")
        if asked is not None and asked not in header:
            raise DataError(f"the table has no column for {role}", value=asked, allowed=nearest(asked, header))
        present = [asked] if asked else [name for name in defaults if name in header]
        if len(present) > 1:
            raise DataError(
                f"two columns may be the {role}",
                value=" and ".join(present),
                next_step=f"choose one with ?{role}_column={present[0]}",
            )
        return present[0] if present else None

    def need(role: str) -> str:
        found = find(role, role)
        if found is None:
            raise DataError(
                f"the table has no column {role}",
                value=", ".join(header),
                next_step=f"name it with ?{role}_column=NAME behind the data spec",
            )
        return found

    path = need("path")
    # label_name speaks of the column label; it says nothing about another label column.
    name = find("name", *(["label_name"] if "label_column" not in options else []))
    if name is not None and "label" not in header and "label_column" not in options:
        return _Columns(
            path, name, None, find("group", "patient", "group"), find("split", "split"), find("mask", "mask")
        )
    return _Columns(
        path, need("label"), name, find("group", "patient", "group"), find("split", "split"), find("mask", "mask")
    )


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


def _check_splits(rows: list[dict[str, str]], column: str | None) -> None:
    if column is None:
        return
    empty = sum(not row[column] for row in rows)
    if 0 < empty < len(rows):
        raise DataError(
            f"{empty} of {len(rows)} rows have no split", value=f"column {column}", next_step="fill it, or remove it"
        )


def _check_paths(rows: list[tuple[int, dict[str, str]]], entries: list[Entry], column: str) -> None:
    for line, row in rows:
        if not row[column]:
            raise DataError(f"line {line} of the table has no path", value=f"column {column}")
    if not any(Path(entry.source).is_file() for entry in entries):
        raise DataError(
            "none of the table's images exists",
            value=entries[0].source,
            allowed="paths relative to the table",
            next_step="move the table, or mend its paths",
        )


def miniature(folder: Path) -> str:
    """Write twelve tiny 16-bit images with masks, patients and splits, and a table; return its spec."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,label,label_name,split,patient,mask"]
    for number in range(12):
        pixels = (np.arange(48).reshape(6, 8) * 1300 + number).astype(np.uint16)
        Image.fromarray(pixels).save(folder / f"image{number:02d}.png")
        Image.fromarray((pixels > 30000).astype(np.uint8)).save(folder / f"mask{number:02d}.png")
        label, split = number % 2, ("train", "val", "test")[number // 4]
        name = ("normal", "tumour")[label]
        lines.append(f"image{number:02d}.png,{label},{name},{split},p{number // 2},mask{number:02d}.png")
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"csv:{table}"
