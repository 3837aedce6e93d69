"""What the app knows of an image without its pixels: size, depth, and the tiles of a large one, read from its files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from percuss.core.errors import RunError

_CHANNELS = {0: 1, 2: 3}


@dataclass(frozen=True)
class Geometry:
    """Of one image: pixels, channels, bits of each value; side and levels of its tiles, 0 where it has none."""

    width: int
    height: int
    channels: int
    bits: int
    tile: int = 0
    levels: int = 0


@lru_cache(maxsize=4096)
def geometry(path: Path) -> Geometry:
    """Of a PNG file, or of a folder ``LEVEL/X_Y.png`` of tiles; RunError where it cannot be read."""
    if not path.is_dir():
        return Geometry(*_header(path))
    levels = len([level for level in path.iterdir() if level.is_dir()])
    last = path / str(levels - 1)
    places = [tuple(map(int, tile.stem.split("_"))) for tile in last.glob("*_*.png")]
    if not places:
        raise _unreadable(path)
    right, lower = max(x for x, _ in places), max(y for _, y in places)
    first = _header(last / "0_0.png")
    # A picture narrower than a tile has one column, of the picture's width.
    size, channels, bits = max(first[:2]), *first[2:]
    edge = _header(last / f"{right}_{lower}.png")
    return Geometry(right * size + edge[0], lower * size + edge[1], channels, bits, tile=size, levels=levels)


def check_lengths(images: Path) -> int:
    """The length in bytes that every file has; RunError unless it is one: it would tell images apart."""
    lengths = {path.stat().st_size for path in images.rglob("*") if path.is_file()}
    if len(lengths) != 1:
        raise RunError(
            "the image files of the study are not of one length",
            value=f"{len(lengths)} lengths in {images}",
            allowed="one length, so that it tells nothing",
            next_step="restore the folder from its copy, or create the study again",
        )
    return lengths.pop()


def _header(path: Path) -> tuple[int, int, int, int]:
    """Width, height, channels and bits."""
    try:
        with path.open("rb") as file:
            start = file.read(26)
        width, height, bits, kind = struct.unpack(">IIBB", start[16:26])
        return width, height, _CHANNELS[kind], bits
    except (OSError, struct.error, KeyError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> RunError:
    return RunError("an image of the study cannot be read", value=path, next_step="restore the study from its copy")
