"""Tiles of a slide with overlap, and how their maps become one: the mean of overlapping cells, weighted by a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from percuss.core.errors import UsageError

Array = NDArray[np.floating[Any]]
#: The tiles of one row of the grid: column, and logits of its cells ``[side / cell, side / cell]``.
Row = list[tuple[int, Array]]


@dataclass(frozen=True)
class Grid:
    """Square tiles over a view; the last ones may reach beyond it.

    Attributes:
        height, width: of the view in pixels.
        side, overlap, cell: of a tile, of neighbours, and of a cell, in pixels of the view.
        kept: which tiles are looked at, bool ``[rows, columns]``.
    """

    height: int
    width: int
    side: int
    overlap: int
    cell: int
    kept: NDArray[np.bool_]

    @property
    def stride(self) -> int:
        """Pixels from one tile to the next."""
        return self.side - self.overlap

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells of the map; a part of a cell at the edge counts as one."""
        return -(-self.height // self.cell), -(-self.width // self.cell)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """First row and column of a tile in pixels of the view."""
        return row * self.stride, column * self.stride

    def columns(self, row: int) -> list[int]:
        """Columns of the kept tiles of a row."""
        found: list[int] = np.flatnonzero(self.kept[row]).tolist()
        return found


def check_tiling(side: int, overlap: int, cell: int) -> None:
    """UsageError unless tiles and their overlap are whole cells, and the overlap at most half of a tile."""
    if side < cell or side % cell:
        raise UsageError(
            "a tile must be whole cells of the model", value=f"--size {side}", allowed=f"{cell} x a number"
        )
    if overlap < 0 or overlap % cell or 2 * overlap > side:
        raise UsageError(
            "the overlap of tiles must be whole cells, and at most half of a tile",
            value=f"--overlap {overlap}",
            allowed=f"multiples of {cell} from 0 to {side // 2}",
        )


def window(count: int, overlap: int) -> Array:
    """Weights of the cells of a tile ``[count, count]``: even steps up over the overlap, 1 within, even steps down.

    Along an overlap the weights of two neighbours add up to 1, and no weight is 0.
    """
    place = np.arange(count)
    ramp = np.minimum(np.minimum((place + 1) / (overlap + 1), (count - place) / (overlap + 1)), 1.0)
    found: Array = np.outer(ramp, ramp)
    return found


def stitched(grid: Grid, rows: Iterable[Row]) -> Iterator[Array]:
    """The map of a slide from the maps of its tiles, as bands of rows from the top: float32 ``[rows, width]`` logits.

    Every cell is the mean of the logits that tiles give it, weighted by ``window``; NaN where no tile lies. One row of
    tiles is held.
    """
    count, step = grid.side // grid.cell, grid.stride // grid.cell
    height, width = grid.shape
    weights = window(count, grid.overlap // grid.cell)
    wide = (grid.kept.shape[1] - 1) * step + count
    total, weight = np.zeros((count, wide)), np.zeros((count, wide))
    done, last = 0, grid.kept.shape[0] - 1
    for number, tiles in enumerate(rows):
        for column, scores in tiles:
            here = slice(column * step, column * step + count)
            total[:, here] += weights * scores
            weight[:, here] += weights
        ready = min(count if number == last else step, height - done)
        with np.errstate(invalid="ignore"):
            band = total[:ready, :width] / weight[:ready, :width]
        yield band.astype(np.float32)
        done += ready
        for layer in (total, weight):
            layer[:-step] = layer[step:].copy()
            layer[-step:] = 0
