"""csv:PATH?task=segment, a table with a path and a class map for each image, and numbers of nuclei where known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.decode import READING_OPTIONS, reading
from percuss.data.map_set import MapReading, MapSet, Part
from percuss.data.options import check_names, spec_text, whole
from percuss.data.splits import check_entries, split_name, with_splits
from percuss.data.table import Row, check_paths, check_splits, column, needed_column, table_rows
from percuss.data.tiles import cut_up, cutting

#: Options of class maps alone.
MAP_OPTIONS = ("names", "ignore", "tile", "stride", "instances_column")
OPTIONS = (
    *READING_OPTIONS,
    "split",
    "seed",
    "task",
    *MAP_OPTIONS,
    *(f"{name}_column" for name in ("path", "group", "split", "mask")),
)
#: Classes where only the numbers of nuclei are known.
FOUND = ("background", "nucleus")


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
    classes, ignore = _names(options, mask is not None), _ignore(options, mask)
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
    entries = with_splits(entries, options)
    check_entries(entries)
    maps, things = (_files(rows, name, table.parent) for name in (mask, numbers))
    parts = {entry.id: Part(*pair) for entry, pair in zip(entries, zip(maps, things, strict=True), strict=True)}
    cut, dropped = cutting(options), dict[str, int]()
    if cut is not None:
        entries, parts, dropped = cut_up(entries, parts, cut)
    how = MapReading(reading(options), ignore)
    found = MapSet(spec_text("csv", location, options), classes, entries=entries, parts=parts, how=how)
    found.dropped = dropped
    return found


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


def _ignore(options: Mapping[str, str], mask: str | None) -> int | None:
    found = whole(options, "ignore", low=0, high=65535)
    if found is not None and mask is None:
        raise DataError(
            "ignore speaks of class maps, and the table has numbers of nuclei alone",
            value=found,
            next_step="leave it out, or name the column of class maps with ?mask_column=NAME",
        )
    return found


def _names(options: Mapping[str, str], maps: bool) -> tuple[str, ...]:
    """Class names; DataError where they are needed and missing, empty, repeated, or too few or many."""
    if "names" not in options:
        if not maps:
            return FOUND
        raise DataError(
            "the values of class maps have no names",
            allowed="names=background|A|B, in the order of the values 0, 1, 2",
            next_step="add ?names=background|... behind the data spec",
        )
    found = tuple(name.strip() for name in options["names"].split("|"))
    allowed = f"2 to {IGNORE} different names, background first" if maps else "two: the background and the nuclei"
    if not 2 <= len(found) <= (IGNORE if maps else 2) or not all(found) or len(set(found)) < len(found):
        raise DataError(
            "the names of classes do not fit",
            value=options["names"],
            allowed=allowed,
            next_step="give one for each value of the maps, with | between them",
        )
    return found
