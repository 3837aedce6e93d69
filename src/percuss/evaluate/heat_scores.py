"""Area under the precision-recall curve of heat maps, exactly: cells ranked by score, ties kept together.

Average precision is the sum over thresholds of the step of recall times precision there (the step rule, which does not
interpolate: J. Davis, M. Goadrich, ICML 2006, show why a straight line between points is too kind). Cells of equal
score enter together, so that a constant score has the prevalence as its average precision. The trapezoid area is a
second number, for comparison with studies that used it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError

Floats = NDArray[np.float64]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Ranked:
    """Cells counted by score, highest score first.

    Attributes:
        tumour, normal: cells of each kind at each score (or in each bin of scores), float64 ``[K]`` or ``[..., K]``;
            weights of a bootstrap make them no whole numbers of cells.
    """

    tumour: Floats
    normal: Floats

    def average_precision(self) -> Floats:
        """Step-rule area, ``[...]``; NaN where there is no tumour cell or no normal one."""
        found, all_found = self.tumour.cumsum(-1), (self.tumour + self.normal).cumsum(-1)
        precision = np.divide(found, all_found, out=np.zeros_like(found), where=all_found > 0)
        return self._known((self.tumour * precision).sum(-1))

    def trapezoid(self) -> Floats:
        """Area by straight lines between the points of the curve, ``[...]``; NaN as for ``average_precision``.

        The first line runs level, at the precision of the highest score.
        """
        found, all_found = self.tumour.cumsum(-1), (self.tumour + self.normal).cumsum(-1)
        precision = np.divide(found, all_found, out=np.ones_like(found), where=all_found > 0)
        before = np.concatenate([precision[..., :1], precision[..., :-1]], axis=-1)
        # Nothing ranked yet says nothing of precision: the line starts level there.
        before = np.where(all_found - self.tumour - self.normal > 0, before, precision)
        return self._known((self.tumour * (precision + before) / 2).sum(-1))

    def prevalence(self) -> Floats:
        """Share of tumour among the cells, ``[...]``: the average precision of a model that knows nothing."""
        total = self.tumour.sum(-1) + self.normal.sum(-1)
        return np.asarray(np.divide(self.tumour.sum(-1), total, out=np.full(np.shape(total), np.nan), where=total > 0))

    def curve(self, points: int = 400) -> tuple[Floats, Floats]:
        """Recall (rising) and precision of one ranking for a plot, at most ``points`` of each.

        Raises:
            DataError: no tumour cell, or no normal one.
        """
        if not np.isfinite(self.average_precision()):
            raise DataError("a precision-recall curve needs cells of both kinds", allowed="tumour and normal cells")
        found, all_found = self.tumour.cumsum(), (self.tumour + self.normal).cumsum()
        kept = all_found > 0
        recall, precision = found[kept] / found[-1], found[kept] / all_found[kept]
        # Even steps of recall, and the ends: more points than a plot has pixels draw nothing.
        wanted = np.searchsorted(recall, np.linspace(0, 1, points - 1), side="left")
        places = np.unique(np.append(wanted, len(recall) - 1).clip(0, len(recall) - 1))
        return recall[places], precision[places]

    def _known(self, area: Array) -> Floats:
        tumour, normal = self.tumour.sum(-1), self.normal.sum(-1)
        there = (tumour > 0) & (normal > 0)
        return np.asarray(np.divide(area, tumour, out=np.full(np.shape(tumour), np.nan), where=there))


def ranked(scores: Array, truth: Array) -> Ranked:
    """Cells by score, highest first, equal scores together.

    Args:
        scores: a number for each cell, higher for tumour; any shape.
        truth: 0 normal, 1 tumour, 255 not judged (left out); the same shape.

    Raises:
        DataError: shapes differ, a judged score is NaN, or the truth holds another value.
    """
    values, tumour = judged(scores, truth)
    if values.dtype == np.float16:
        place, count = _half_order(values), 1 << 16
    else:
        unique, place = np.unique(values, return_inverse=True)
        count = len(unique)
    both = np.bincount(place, minlength=count)
    hits = np.bincount(place[tumour], minlength=count)
    kept = both > 0
    first, every = hits[kept][::-1].astype(np.float64), both[kept][::-1].astype(np.float64)
    return Ranked(first, every - first)


def _half_order(values: Array) -> Array:
    """Whole numbers in the order of half-precision values, 0 to 65535: as they are stored, so nothing needs sorting."""
    bits = (values + np.float16(0)).view(np.uint16)  # -0 becomes 0, which it equals
    return np.where(bits >> 15, ~bits, bits | np.uint16(1 << 15)).astype(np.int64)


def judged(scores: Array, truth: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Scores of the judged cells ``[K]``, and which of them are tumour; DataError as for ``ranked``."""
    values, kinds = np.asarray(scores), np.asarray(truth)
    if values.shape != kinds.shape:
        raise DataError("scores and truth differ in shape", value=f"{values.shape} and {kinds.shape}")
    inside = kinds != IGNORE
    values, kinds = values[inside], kinds[inside]
    if np.isnan(values).any():
        raise DataError("the scores hold NaN", value=f"{int(np.isnan(values).sum())} cells", allowed="numbers")
    strange = ~np.isin(kinds, (0, 1))
    if strange.any():
        raise DataError(
            "the truth of a heat map holds an unknown value", value=int(kinds[strange][0]), allowed="0, 1 and 255"
        )
    return values, kinds == 1


def average_precision(scores: Array, truth: Array) -> float | None:
    """Exact average precision of all judged cells; None where one of the two kinds has no cell.

    Arguments and errors as for ``ranked``.
    """
    return number(ranked(scores, truth).average_precision())


def trapezoid_area(scores: Array, truth: Array) -> float | None:
    """Area by straight lines between points; None where one of the two kinds has no cell."""
    return number(ranked(scores, truth).trapezoid())


def number(value: Array | float) -> float | None:
    """A single value, None for NaN."""
    found = float(value)
    return found if np.isfinite(found) else None
