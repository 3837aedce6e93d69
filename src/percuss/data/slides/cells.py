"""Outlines as cells: which cells of a tile are tumour, by the exact area that the outlines cover."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np

from percuss.core.errors import DataError, UsageError
from percuss.data.slides.outlines import Edges, Outlines

Rule = Literal["half", "any"]
RULES: tuple[Rule, ...] = ("half", "any")
#: A cell without a judgement: ``percuss.core.dense.IGNORE``, written again here since that module loads torch, which
#: every process of percuss tile would wait for.
UNJUDGED = 255
#: Rounding of areas, in cells: a cell exactly half covered counts as covered.
_CLOSE = 1e-9

Floats = np.ndarray[Any, np.dtype[np.float64]]
Cells = np.ndarray[Any, np.dtype[np.uint8]]


class Scaled(Protocol):
    """Something with the number of level-0 pixels per pixel, such as a view."""

    @property
    def scale(self) -> float:
        """Pixels of the slide's largest level per pixel here."""


def cells(  # noqa: PLR0913
    outlines: Outlines, view: Scaled, row: int, column: int, side: int, *, cell: int = 4, rule: Rule = "half"
) -> Cells:
    """Cells of a square tile that are tumour: uint8 ``[side / cell, side / cell]``, 1 for tumour.

    Args:
        outlines: of the slide, in pixels of its largest level.
        view: tells how many of these one pixel of the tile takes.
        row: upper edge of the tile in pixels of the view.
        column: left edge of the tile in pixels of the view.
        side: of the tile in pixels of the view, a multiple of ``cell``.
        cell: side of a cell in pixels of the view.
        rule: ``half``: at least half of the cell's area is inside; ``any``: some of it is.

    Raises:
        DataError: ``cell`` does not divide ``side``, or no such rule.
    """
    return decided(covered(outlines, view, (row, column), side=side, cell=cell), rule)


def covered(outlines: Outlines, view: Scaled, corner: tuple[float, float], *, side: int, cell: int = 4) -> Floats:
    """Share of each cell's area inside the outlines, float64 ``[side / cell, side / cell]``, 0 to 1; see ``cells``."""
    check_cell(side, cell)
    count = side // cell
    if not len(outlines.edges):
        return np.zeros((count, count))
    unit = cell * view.scale
    start = np.array([corner[1], corner[0], corner[1], corner[0]]) * view.scale
    return area_shares((outlines.edges - start) / unit, count)


def decided(shares: Floats, rule: str) -> Cells:
    """0 or 1 for each share of a cell; DataError where there is no such rule."""
    if rule not in RULES:
        raise DataError("no such rule for cells", value=rule, allowed=", ".join(RULES))
    least = 0.5 - _CLOSE if rule == "half" else _CLOSE
    found: Cells = (shares >= least).astype(np.uint8)
    return found


def check_cell(side: int, cell: int) -> None:
    """UsageError unless cells fill the side of a tile."""
    if cell < 1 or side < cell or side % cell:
        raise UsageError(
            "cells must fill a tile", value=f"side {side}, cell {cell}", allowed="a side that is a multiple of the cell"
        )


def area_shares(edges: Edges, count: int) -> Floats:
    """Share of each unit square of ``[0, count] x [0, count]`` that lies inside closed curves, ``[count, count]``.

    Each line adds, to every square right of it, the height that it passes there, with its sense; within its own
    square, times the part of the square right of it. Lines are cut at the grid first, so the sums are exact.

    Args:
        edges: x0, y0, x1, y1 of every line of curves that do not cross, holes running the other way, ``[N, 4]``.
        count: squares in a row and in a column.
    """
    x0, y0, x1, y1 = edges.T
    near = edges[(np.maximum(y0, y1) >= 0) & (np.minimum(y0, y1) <= count) & (np.minimum(x0, x1) < count)]
    if not bool((np.maximum(near[:, 0], near[:, 2]) > 0).any()):
        # No line in the squares themselves: they are all inside or all outside, as any line of sight to the left tells.
        above, below = near[:, 1] <= count / 2, near[:, 3] <= count / 2
        return np.full((count, count), float(abs(int(below.sum()) - int(above.sum()))))
    pieces = _cut(near[near[:, 1] != near[:, 3]], count)
    row = np.floor((pieces[:, 1] + pieces[:, 3]) / 2).astype(np.int64)
    middle = (pieces[:, 0] + pieces[:, 2]) / 2
    column = np.maximum(np.floor(middle).astype(np.int64), -1)
    kept = (row >= 0) & (row < count) & (column < count)
    row, column, middle = row[kept], column[kept], middle[kept]
    rise = (pieces[:, 3] - pieces[:, 1])[kept]
    own = np.where(column < 0, 0.0, column + 1 - middle)  # of the square that the piece lies in, right of the piece
    total = np.zeros((count, count + 2))
    np.add.at(total, (row, column + 1), rise * own)
    np.add.at(total, (row, column + 2), rise * (1 - own))
    shares: Floats = np.abs(np.cumsum(total, 1)[:, 1 : count + 1])
    return np.minimum(shares, 1.0)


def _cut(edges: Edges, count: int) -> Edges:
    """The lines cut wherever they meet the lines of the grid within ``[0, count]``, ``[M, 4]``."""
    start, step = edges[:, :2], edges[:, 2:] - edges[:, :2]
    owners, places = [np.repeat(np.arange(len(edges)), 2)], [np.tile([0.0, 1.0], len(edges))]
    for axis in (0, 1):
        ends = np.sort(np.stack([start[:, axis], edges[:, 2 + axis]], 1), 1)
        first = np.clip(np.floor(ends[:, 0]) + 1, 0, count + 1).astype(np.int64)
        last = np.clip(np.ceil(ends[:, 1]) - 1, -1, count).astype(np.int64)
        many = np.maximum(last - first + 1, 0)
        owner = np.repeat(np.arange(len(edges)), many)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(many) - many, many)
        owners.append(owner)
        places.append((first[owner] + within - start[owner, axis]) / step[owner, axis])
    owner, place = np.concatenate(owners), np.concatenate(places)
    order = np.lexsort((place, owner))
    owner, place = owner[order], place[order]
    points = start[owner] + place[:, None] * step[owner]
    same = owner[1:] == owner[:-1]
    found: Edges = np.concatenate([points[:-1][same], points[1:][same]], 1)
    return found
