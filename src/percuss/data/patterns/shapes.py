"""Triangle, star, square and circle: which pixels have their centre inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from percuss.core.errors import DataError, nearest

Grid = np.ndarray[Any, np.dtype[np.bool_]]
SHAPES = ("triangle", "star", "square", "circle")
#: Radius of the inner corners of a five-pointed star whose outer corners lie at 1: its edges are straight through.
_INNER = math.cos(math.radians(72)) / math.cos(math.radians(36))


@dataclass(frozen=True)
class Shape:
    """One shape in a picture.

    Attributes:
        kind: one of ``SHAPES``.
        row, column: its centre, in pixels from the top left corner (the first pixel's centre is 0.5, 0.5).
        radius: distance from the centre to the outer corners (to the edge, for a circle), in pixels.
        turn: rotation in radians.
    """

    kind: str
    row: float
    column: float
    radius: float
    turn: float = 0.0


def corners(shape: Shape) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Corners in order, ``[K, 2]`` (row, column) in pixels; DataError for a circle or an unknown kind."""
    outer = {"triangle": 3, "star": 5, "square": 4}
    if shape.kind not in outer:
        raise DataError("no shape with corners", value=shape.kind, allowed=nearest(shape.kind, outer))
    count = outer[shape.kind] * (2 if shape.kind == "star" else 1)
    angles = shape.turn + 2 * math.pi * np.arange(count) / count
    lengths = np.full(count, shape.radius)
    if shape.kind == "star":
        lengths[1::2] *= _INNER
    return np.stack([shape.row - lengths * np.cos(angles), shape.column + lengths * np.sin(angles)], axis=1)


def covered(shape: Shape, side: int) -> Grid:
    """Pixels of a square picture whose centre lies inside the shape, bool ``[side, side]``."""
    found = np.zeros((side, side), dtype=bool)
    low, high = (
        [min(side, max(0, math.floor(centre + sign * (shape.radius + 1)))) for centre in (shape.row, shape.column)]
        for sign in (-1, 1)
    )
    if low[0] < high[0] and low[1] < high[1]:
        rows = np.arange(low[0], high[0])[:, None] + 0.5
        columns = np.arange(low[1], high[1])[None, :] + 0.5
        found[low[0] : high[0], low[1] : high[1]] = _inside(shape, rows, columns)
    return found


def _inside(shape: Shape, rows: np.ndarray[Any, Any], columns: np.ndarray[Any, Any]) -> Grid:
    if shape.kind == "circle":
        near: Grid = (rows - shape.row) ** 2 + (columns - shape.column) ** 2 <= shape.radius**2
        return near
    points = corners(shape)
    inside = np.zeros((rows.shape[0], columns.shape[1]), dtype=bool)
    # A point is inside where a ray to its right crosses the outline an odd number of times.
    for (row, column), (to_row, to_column) in zip(points, np.roll(points, -1, axis=0), strict=True):
        between = (row <= rows) != (to_row <= rows)
        rise = to_row - row
        at = column + (rows - row) * (to_column - column) / (rise if rise else 1.0)
        inside ^= between & (columns < at)
    return inside
