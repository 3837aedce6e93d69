"""A table of images as text: its rows with their line numbers, and the columns by what they are for."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from percuss.core.errors import DataError, nearest

#: A row with the number of its line.
Row = tuple[int, dict[str, str]]


def table_rows(table: Path) -> tuple[list[str], list[Row]]:
    """Header and rows with their line numbers, values stripped.

    DataError where the table is missing, no UTF-8 with commas, without a row, or a row does not fit the header.
    """
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


def column(header: list[str], options: Mapping[str, str], role: str, *, defaults: tuple[str, ...]) -> str | None:
    """The column that ``ROLE_column=`` names, else the one of ``defaults`` that is there; None where none is.

    DataError where the named one is absent, or several of the defaults are there.
    """
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


def needed_column(header: list[str], options: Mapping[str, str], role: str) -> str:
    """As ``column``, with the role itself as the usual name; DataError where there is none."""
    found = column(header, options, role, defaults=(role,))
    if found is None:
        raise DataError(
            f"the table has no column {role}",
            value=", ".join(header),
            next_step=f"name it with ?{role}_column=NAME behind the data spec",
        )
    return found


def check_splits(rows: list[Row], name: str | None) -> None:
    """DataError where some rows have a split and others none; ``name`` is its column, None for none."""
    if name is None:
        return
    empty = sum(not row[name] for _, row in rows)
    if 0 < empty < len(rows):
        raise DataError(
            f"{empty} of {len(rows)} rows have no split", value=f"column {name}", next_step="fill it, or remove it"
        )


def check_paths(rows: list[Row], sources: list[str], name: str) -> None:
    """DataError where a row has no path in the column ``name``, or none of the files exists."""
    for line, row in rows:
        if not row[name]:
            raise DataError(f"line {line} of the table has no path", value=f"column {name}")
    if not any(Path(source).is_file() for source in sources):
        raise DataError(
            "none of the table's images exists",
            value=sources[0],
            allowed="paths relative to the table",
            next_step="move the table, or mend its paths",
        )
