"""Large images as square tiles: which tiles an image holds whole, and what is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.map_set import Part
from percuss.data.options import whole

#: Reason under which tiles that an image's edge would cut are counted as dropped.
CUT = "tiles cut by the edge of an image"
_TURNED = (5, 6, 7, 8)
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Cut:
    """Side of a tile and distance between two, in pixels; ``stride`` is at most ``tile``."""

    tile: int
    stride: int


def cutting(options: Mapping[str, str]) -> Cut | None:
    """What ``tile=`` and ``stride=`` ask for; None without ``tile``. DataError where they make no sense."""
    tile = whole(options, "tile", low=4, high=16384)
    if tile is None:
        if "stride" in options:
            raise DataError("stride has no use without tile", value=options["stride"], next_step="add ?tile=256")
        return None
    # A wider stride would leave out pixels between tiles without a word.
    return Cut(tile, whole(options, "stride", low=1, high=tile) or tile)


def starts(side: int, cut: Cut) -> tuple[list[int], int]:
    """Where tiles begin along one side of an image, and how many more the rest of it would take (0 or 1)."""
    found = list(range(0, side - cut.tile + 1, cut.stride))
    end = found[-1] + cut.tile if found else 0
    return found, int(end < side)


def cut_up(
    entries: Sequence[Entry], parts: Mapping[str, Part], cut: Cut
) -> tuple[list[Entry], dict[str, Part], dict[str, int]]:
    """Entries and parts of the tiles, ids ``ID#ROW_COLUMN`` (counted from 0), and what was left out, by reason.

    An image whose size cannot be read is kept as one tile, so that it is listed as bad when it is read. DataError
    where no image holds a tile.
    """
    tiles: list[Entry] = []
    places: dict[str, Part] = {}
    left = 0
    for entry in entries:
        size = _size(Path(entry.source))
        if size is None:
            (rows, columns), more = ([0], [0]), (0, 0)
        else:
            (rows, row_rest), (columns, column_rest) = (starts(side, cut) for side in size)
            more = row_rest, column_rest
        left += (len(rows) + more[0]) * (len(columns) + more[1]) - len(rows) * len(columns)
        for row, top in enumerate(rows):
            for column, first in enumerate(columns):
                name = f"{entry.id}#{row}_{column}"
                tiles.append(replace(entry, id=name))
                places[name] = replace(parts[entry.id], corner=(top, first), tile=cut.tile)
    if not tiles:
        raise DataError(
            "no image holds a whole tile",
            value=f"tile={cut.tile}",
            allowed="up to the shorter side of the images",
            next_step="give a smaller ?tile=",
        )
    return tiles, places, {CUT: left} if left else {}


def _size(path: Path) -> tuple[int, int] | None:
    """Height and width of an image file as it is read, upright; None where it cannot be told."""
    try:
        with Image.open(path) as image:
            # Pillow turns TIFF when it loads it and so does the reader: both sides swap in the same cases.
            turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
            width, height = image.size
    except Exception:  # Pillow raises many kinds of error on damaged files; the reader then says what is wrong
        return None
    return (width, height) if turned else (height, width)
