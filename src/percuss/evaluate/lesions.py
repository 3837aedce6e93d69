"""Lesions of a truth on a grid, and detections of a heat map, by the rules of the CAMELYON16 evaluation.

Tumour closer together than 75 um is one lesion: every outline is widened by half of that, holes are filled, and parts
that touch (corners too) are one. A lesion whose longest axis, so widened, is below 275 um (200 um and the widening) is
a group of isolated tumour cells, which is neither asked for nor held against a detection. These sizes are those of the
published evaluation script; there the grid is level 5 of a slide, about 7.8 um.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError

Array = np.ndarray[Any, Any]
#: Micrometres between outlines below which they are one lesion.
MERGE = 75.0
#: Longest axis in micrometres, widening included, below which a lesion is isolated tumour cells.
ISOLATED = 275.0
_CORNERS = np.ones((3, 3))


@dataclass(frozen=True)
class Lesions:
    """Lesions of a slide.

    Attributes:
        labels: int32 ``[h, w]``, 0 outside.
        isolated: labels that are isolated tumour cells.
        judged: bool ``[h, w]``; outside, detections count neither way.
    """

    labels: NDArray[np.int32]
    isolated: frozenset[int]
    judged: NDArray[np.bool_]

    @property
    def counted(self) -> list[int]:
        """Labels that must be found."""
        return [label for label in range(1, int(self.labels.max(initial=0)) + 1) if label not in self.isolated]


@dataclass(frozen=True)
class Detections:
    """Places on the grid of a heat map, highest score first.

    Attributes:
        row, column: int64 ``[K]``.
        score: float64 ``[K]``.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    score: NDArray[np.float64]


def lesions_of(truth: Array, *, um: float) -> Lesions:
    """Lesions of a truth.

    Args:
        truth: 0 normal, 1 tumour, 255 not judged, ``[h, w]``.
        um: micrometres per place of the grid.
    """
    _check(truth, um)
    tumour = truth == 1
    if not tumour.any():
        return Lesions(np.zeros(truth.shape, np.int32), frozenset(), truth != IGNORE)
    near = ndimage.distance_transform_edt(~tumour) < MERGE / (2 * um)
    labels, count = ndimage.label(ndimage.binary_fill_holes(near), structure=_CORNERS)
    places = ndimage.find_objects(labels)
    small = frozenset(
        label for label in range(1, count + 1) if longest_axis(labels[places[label - 1]] == label) * um < ISOLATED
    )
    return Lesions(labels.astype(np.int32), small, truth != IGNORE)


def longest_axis(part: Array) -> float:
    """Length of the longer axis of the ellipse with the same second moments as a part, in places of the grid."""
    rows, columns = np.nonzero(part)
    moments = np.cov(np.stack([rows, columns]), bias=True) if len(rows) > 1 else np.zeros((2, 2))
    return 4 * math.sqrt(max(float(np.linalg.eigvalsh(moments)[-1]), 0.0))


def maxima(scores: Array, *, um: float, least: float = 0.0, apart: float = MERGE) -> Detections:
    """Local maxima of a heat map, strongest first, none within ``apart`` micrometres of a stronger one.

    Args:
        scores: ``[h, w]``; NaN where there is no score.
        um: micrometres per place.
        least: lowest score of a detection.
        apart: least distance of two detections, micrometres.
    """
    _check(scores, um)
    values = np.where(np.isnan(scores), -np.inf, scores.astype(np.float64))
    tops = (values >= ndimage.maximum_filter(values, size=3, mode="constant", cval=-np.inf)) & (values >= least)
    rows, columns = np.nonzero(tops & np.isfinite(values))
    order = np.argsort(-values[rows, columns], kind="stable")
    reach = max(apart / um, 0.5)
    free, kept = np.ones(values.shape, dtype=bool), []
    for place in order:
        row, column = int(rows[place]), int(columns[place])
        if free[row, column]:
            kept.append(place)
            _cover(free, row, column, reach=reach)
    chosen = np.array(kept, dtype=np.int64)
    return Detections(rows[chosen], columns[chosen], values[rows, columns][chosen])


def parts(scores: Array, *, least: float = 0.0) -> Detections:
    """Connected parts of a heat map at or above ``least``: each its highest place and score, strongest first."""
    _check(scores, 1.0)
    values = np.where(np.isnan(scores), -np.inf, scores.astype(np.float64))
    labels, count = ndimage.label((values >= least) & np.isfinite(values), structure=_CORNERS)
    spots = ndimage.maximum_position(values, labels, range(1, count + 1)) if count else []
    found = np.array(spots, dtype=np.int64).reshape(-1, 2)
    score = values[found[:, 0], found[:, 1]]
    order = np.argsort(-score, kind="stable")
    return Detections(found[order, 0], found[order, 1], score[order])


def _cover(free: NDArray[np.bool_], row: int, column: int, *, reach: float) -> None:
    """No other detection within ``reach`` of a place."""
    side = int(reach)
    top, left = max(row - side, 0), max(column - side, 0)
    window = free[top : row + side + 1, left : column + side + 1]
    down, across = np.ogrid[top - row : top - row + window.shape[0], left - column : left - column + window.shape[1]]
    window &= down**2 + across**2 > reach**2


def _check(values: Array, um: float) -> None:
    if values.ndim != 2 or not values.size:
        raise DataError("a map has two sides", value=f"shape {values.shape}", allowed="[height, width], not empty")
    if not (math.isfinite(um) and um > 0):
        raise DataError(
            "the resolution of a map is not known", value=um, allowed="micrometres above 0", next_step="give --mpp"
        )
