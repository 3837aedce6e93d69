"""A background of seeded colour noise, coarse and fine, in place of pictures that nobody else has."""

from __future__ import annotations

from typing import Any

import numpy as np

Values = np.ndarray[Any, np.dtype[np.float64]]
#: Size of one cell of each layer as a share of the side, and how strongly the layer counts.
_LAYERS = ((0.5, 1.0), (0.2, 0.6), (0.07, 0.4), (0.0, 0.25))


def background(rng: np.random.Generator, side: int) -> Values:
    """Noise in [0, 1], float64 ``[3, side, side]``: random grids of four sizes, the finest one value per pixel."""
    found = np.zeros((3, side, side))
    for share, weight in _LAYERS:
        cells = side if share == 0 else round(1 / share) + 1
        grid = rng.random((3, cells, cells))
        found += weight * (grid if share == 0 else _stretched(grid, side))
    return found / sum(weight for _, weight in _LAYERS)


def _stretched(grid: Values, side: int) -> Values:
    """A grid drawn over the picture, smooth between its points."""
    place = (np.arange(side) + 0.5) / side * (grid.shape[1] - 1)
    first = np.minimum(place.astype(np.int64), grid.shape[1] - 2)
    step = place - first
    step = step * step * (3 - 2 * step)
    down = grid[:, first] * (1 - step)[:, None] + grid[:, first + 1] * step[:, None]
    found: Values = down[:, :, first] * (1 - step) + down[:, :, first + 1] * step
    return found
