"""csv:PATH?task=segment, a table with a path and a class map for each image, and numbers of nuclei where known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.map_options import SHARED_OPTIONS, open_files
from percuss.data.map_set import MapSet, Part
from percuss.data.options import check_names, spec_text
from percuss.data.splits import split_name
from percuss.data.table import Row, check_paths, check_splits, column, needed_column, table_rows

_COLUMNS = tuple(f"{name}_column" for name in ("path", "group", "split", "mask", "instances"))
OPTIONS = (*SHARED_OPTIONS, *_COLUMNS)


def open_maps(location: str, options: Mapping[str, str]) -> MapSet:
    """Images with class maps (column ``mask``) and numbers of nuclei (column ``instances``), or the second alone.

    Options: the reading options, ``split`` and ``seed``; ``names=background|A|B`` (classes in the order of the values
    in the maps, needed with ``mask``); ``ignore=VALUE`` (pixels of this value are not judged); ``tile=256`` and
    ``stride=`` (each image as tiles; ``dropped`` counts what does not fill one); ``path_column``, ``mask_column``,
    ``instances_column``, ``group_column``, ``split_column``. DataError where the table, a column or the names are
    missing or contradict each other.
    """
    check_names(options, OPTIONS, "csv with task=segment")
    table = Path(location).expanduser()
    header, rows = table_rows(table)
    path = needed_column(header, options, "path")
    mask, numbers = (column(header, options, name, defaults=(name,)) for name in ("mask", "instances"))
    if mask is None and numbers is None:
        raise DataError(
            "the table has neither class maps nor numbers of nuclei",
            value=", ".join(header),
            allowed="a column mask, or instances, or both",
            next_step="name them with ?mask_column=NAME or ?instances_column=NAME behind the data spec",
        )
    group, split = (
        column(header, options, "group", defaults=("patient", "group")),
        column(header, options, "split", defaults=("split",)),
    )
    check_splits(rows, split)
    entries = [
        Entry(
            row[path],
            0,
            split_name(row[split]) if split and row[split] else None,
            (row[group] or None) if group else None,
            str(table.parent / row[path]),
        )
        for _, row in rows
    ]
    check_paths(rows, [entry.source for entry in entries], path)
    maps, things = (_files(rows, name, table.parent) for name in (mask, numbers))
    parts = {entry.id: Part(*pair) for entry, pair in zip(entries, zip(maps, things, strict=True), strict=True)}
    text = spec_text("csv", location, options)
    return open_files(text, entries, parts, options=options, maps=mask is not None)


def _files(rows: list[Row], name: str | None, home: Path) -> list[Path | None]:
    """The file of each row in a column; DataError where a row has none, and None where there is no such column."""
    for line, row in rows:
        if name is not None and not row[name]:
            raise DataError(
                f"line {line} of the table has no map",
                value=f"column {name}",
                next_step="fill it in, or remove the row: an image without its truth cannot be judged",
            )
    return [None if name is None else home / row[name] for _, row in rows]
