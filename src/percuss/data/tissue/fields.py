"""Random fields over a patch: smooth noise, wavy fibres, and cells around scattered centres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage

from percuss.data.tissue.stains import Floats

#: Standard deviation of white noise after cubic B-spline smoothing in two dimensions.
_SPLINE_SD = 0.479


@dataclass(frozen=True)
class Frame:
    """The piece of tissue to fill: size in pixels and micrometres per pixel."""

    height: int
    width: int
    mpp: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width in micrometres."""
        return self.height * self.mpp, self.width * self.mpp

    def axes(self) -> tuple[Floats, Floats]:
        """Pixel centres in micrometres: rows ``[height, 1]`` and columns ``[1, width]``."""
        rows = (np.arange(self.height, dtype=np.float32) + 0.5) * np.float32(self.mpp)
        columns = (np.arange(self.width, dtype=np.float32) + 0.5) * np.float32(self.mpp)
        return rows[:, None], columns[None]

    def pixel(self, points: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Row and column ``[N, 2]`` nearest to points in micrometres, kept inside the frame."""
        found: np.ndarray[Any, np.dtype[np.int64]] = np.floor(points / self.mpp).astype(np.int64)
        np.clip(found, 0, np.array(self.shape) - 1, out=found)
        return found


@lru_cache(maxsize=64)
def _spline(count: int, cell: float) -> Floats:
    """Weights ``[count, knots]`` of a uniform cubic B-spline with a knot every ``cell`` pixels."""
    place = np.arange(count) / cell
    base = np.floor(place).astype(int)
    t = place - base
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
    matrix = np.zeros((count, int(base[-1]) + 4), np.float32)
    for shift in range(4):
        matrix[np.arange(count), base + shift] = weights[:, shift]
    return matrix


def smooth_noise(rng: np.random.Generator, frame: Frame, size_um: float) -> Floats:
    """Noise ``[height, width]`` of about mean 0 and deviation 1 with grains of about ``size_um`` micrometres."""
    cell = max(size_um / frame.mpp, 1.0)
    rows, columns = _spline(frame.height, cell), _spline(frame.width, cell)
    knots = rng.standard_normal((rows.shape[1], columns.shape[1]), dtype=np.float32)
    return (rows @ knots @ columns.T) / np.float32(_SPLINE_SD)


@dataclass(frozen=True)
class Fibres:
    """Wavy collagen: bundles and single fibres, both of about mean 0 and deviation 1, and their direction."""

    bundles: Floats
    fine: Floats
    angle: Floats


def fibres(rng: np.random.Generator, frame: Frame) -> Fibres:
    """Draw fibres over the frame; ``angle`` ``[height, width]`` is the direction along them in radians."""
    rows, columns = frame.axes()
    theta = rng.uniform(0, np.pi)
    bend = rng.uniform(5, 14)
    across = rows * np.float32(np.cos(theta)) + columns * np.float32(np.sin(theta))
    across = across + np.float32(bend) * smooth_noise(rng, frame, 38) + 1.5 * smooth_noise(rng, frame, 9)
    along = columns * np.float32(np.cos(theta)) - rows * np.float32(np.sin(theta))
    slope_rows, slope_columns = np.gradient(across)
    # The direction along the fibres is square to the slope of the coordinate across them.
    angle = np.arctan2(slope_columns, -slope_rows)
    return Fibres(_streaks(rng, across / 5.5, along / 55), _streaks(rng, across / 1.3, along / 16), angle)


def _streaks(rng: np.random.Generator, across: Floats, along: Floats) -> Floats:
    table = rng.standard_normal((128, 128), dtype=np.float32)
    found = ndimage.map_coordinates(table, np.stack([across, along]), order=1, mode="grid-wrap")
    return np.asarray(found, np.float32) * np.float32(1.5)


@dataclass(frozen=True)
class Lattice:
    """Centres scattered about a square grid.

    Attributes:
        centres: ``[rows, columns, 2]`` in micrometres; the grid reaches beyond the frame on all sides.
        draws: ``[rows, columns, 4]`` numbers in [0, 1) that belong to each centre.
        spacing: distance of the grid in micrometres.
    """

    centres: Floats
    draws: Floats
    spacing: float

    def points(self) -> Floats:
        """All centres ``[N, 2]``."""
        return self.centres.reshape(-1, 2)


def lattice(rng: np.random.Generator, frame: Frame, spacing: float, *, jitter: float = 0.8) -> Lattice:
    """Centres about ``spacing`` micrometres apart, each moved by up to half of ``jitter`` spacings."""
    rows, columns = (int(np.ceil(side / spacing)) + 4 for side in frame.extent)
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1) - 1.5
    shift = rng.random((rows, columns, 2)) - 0.5
    phase = rng.random(2) - 0.5
    centres = (grid + phase + shift * jitter) * spacing
    return Lattice(centres.astype(np.float32), rng.random((rows, columns, 4)), spacing)


@dataclass(frozen=True)
class Nearest:
    """For each pixel: distance to the nearest and the next centre in micrometres, and the nearest's place."""

    first: Floats
    second: Floats
    row: np.ndarray[Any, np.dtype[np.int32]]
    column: np.ndarray[Any, np.dtype[np.int32]]


def nearest(cells: Lattice, frame: Frame) -> Nearest:
    """Distances to the two nearest centres, looked up among the cells around each pixel."""
    rows, columns = frame.axes()
    home_row = np.rint(rows / cells.spacing + 1.5).astype(np.int32)
    home_column = np.rint(columns / cells.spacing + 1.5).astype(np.int32)
    first = np.full(frame.shape, np.inf, np.float32)
    second = first.copy()
    best = np.zeros(frame.shape, np.int32)
    height, width = cells.centres.shape[:2]
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            flat = np.clip(home_row + down, 0, height - 1) * width + np.clip(home_column + right, 0, width - 1)
            place = cells.points()[flat]
            far = (place[..., 0] - rows) ** 2 + (place[..., 1] - columns) ** 2
            closer = far < first
            second = np.where(closer, first, np.minimum(second, far))
            best = np.where(closer, flat, best)
            first = np.where(closer, far, first)
    return Nearest(np.sqrt(first), np.sqrt(second), best // width, best % width)
