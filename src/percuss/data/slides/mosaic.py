"""Rectangles put together from the tiles of a level, with decoded tiles remembered in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from percuss.data.slides.slide import WHITE, Pixels

_HELD = 32 * 2**20


class TileCache:
    """Decoded tiles, the latest used ones up to 32 MiB (one tile at least). Safe for threads."""

    def __init__(self) -> None:
        self._tiles: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int], decode: Callable[[], Pixels | None]) -> Pixels | None:
        """The tile of ``key`` (level, index), decoded where it is not remembered; None is not remembered."""
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
        tile = decode()
        if tile is None:
            return None
        with self._lock:
            if key not in self._tiles:
                self._tiles[key] = tile
                self._held += tile.nbytes
                while self._held > _HELD and len(self._tiles) > 1:
                    self._held -= self._tiles.popitem(last=False)[1].nbytes
        return tile

    def clear(self) -> None:
        """Forget all tiles."""
        with self._lock:
            self._tiles.clear()
            self._held = 0


@dataclass(frozen=True)
class Mosaic:
    """A level laid out in tiles, row by row.

    Attributes:
        tall: height of a tile in pixels.
        wide: width of a tile in pixels.
        across: tiles in a row.
    """

    tall: int
    wide: int
    across: int

    def read(self, tile: Callable[[int], Pixels | None], corner: tuple[int, int], size: tuple[int, int]) -> Pixels:
        """Pixels of a rectangle, uint8 ``[height, width, 3]``.

        Args:
            tile: gives the tile of an index, ``[tall, wide, 3]`` or less at the lower and right edge; None is white.
            corner: row and column of the rectangle.
            size: its height and width.
        """
        (row, column), (height, width) = corner, size
        found = np.full((height, width, 3), WHITE, np.uint8)
        for down in range(row // self.tall, (row + height - 1) // self.tall + 1):
            for right in range(column // self.wide, (column + width - 1) // self.wide + 1):
                part = tile(down * self.across + right)
                if part is None:
                    continue
                top, left = down * self.tall, right * self.wide
                y0, x0 = max(top, row), max(left, column)
                y1, x1 = min(top + part.shape[0], row + height), min(left + part.shape[1], column + width)
                found[y0 - row : y1 - row, x0 - column : x1 - column] = part[y0 - top : y1 - top, x0 - left : x1 - left]
        return found
