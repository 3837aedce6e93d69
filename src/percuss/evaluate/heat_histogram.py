"""Tumour and normal cells counted by score in fixed bins: average precision of whole slides in bounded memory.

The bins are even in ``z / (4 + |z|)`` of the logit z, so that they are finest around 0 and never end: with 8,192 of
them a bin is 0.001 wide at logit 0 and 0.012 at 10. Two histograms of any tiles or slides are added bin by bin. Cells
of one bin count as tied. The order of cells inside bins is lost; ``bounds`` gives the lowest and highest exact average
precision that the counts allow, and both the exact value and the binned one lie between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from percuss.core.errors import DataError
from percuss.evaluate.heat_scores import Array, Floats, Ranked, judged, number

#: Bins of a histogram that is not asked for another number.
BINS = 8192
_BEND = 4.0
Counts = NDArray[np.int64]


def bin_of(logits: Array, bins: int = BINS) -> Counts:
    """The bin of each logit, 0 for the lowest; infinite logits go to the ends."""
    values = np.clip(np.asarray(logits, dtype=np.float64), -1e12, 1e12)
    share = (values / (_BEND + np.abs(values)) + 1) / 2
    return np.minimum((share * bins).astype(np.int64), bins - 1)


def edges(bins: int = BINS) -> Floats:
    """The logits between bins, ascending ``[bins - 1]``."""
    share = np.arange(1, bins) / bins * 2 - 1
    return np.asarray(_BEND * share / (1 - np.abs(share)))


@dataclass
class HeatHistogram:
    """Cells by bin of score, of any number of tiles and slides.

    Attributes:
        tumour, normal: int64 ``[bins]``, lowest scores first.
    """

    tumour: Counts
    normal: Counts

    @classmethod
    def empty(cls, bins: int = BINS) -> HeatHistogram:
        """Without a cell; DataError for fewer than two bins."""
        if bins < 2:
            raise DataError("a histogram needs bins", value=bins, allowed="2 or more")
        return cls(np.zeros(bins, np.int64), np.zeros(bins, np.int64))

    def add(self, scores: Array, truth: Array) -> None:
        """Count the judged cells of a map.

        Args:
            scores: logits (tumour less normal), any shape.
            truth: 0 normal, 1 tumour, 255 not judged, the same shape.

        Raises:
            DataError: shapes differ, a judged score is NaN, or the truth holds another value.
        """
        values, tumour = judged(scores, truth)
        places = bin_of(values, len(self.tumour))
        self.tumour += np.bincount(places[tumour], minlength=len(self.tumour))
        self.normal += np.bincount(places[~tumour], minlength=len(self.normal))

    def merge(self, other: HeatHistogram) -> HeatHistogram:
        """The counts of both, as a new histogram; DataError where the bins differ in number."""
        if len(self.tumour) != len(other.tumour):
            raise DataError(
                "two histograms of different bins cannot be merged",
                value=f"{len(self.tumour)} and {len(other.tumour)}",
                next_step="count both with the same number of bins",
            )
        return HeatHistogram(self.tumour + other.tumour, self.normal + other.normal)

    @property
    def cells(self) -> int:
        """Judged cells counted."""
        return int(self.tumour.sum() + self.normal.sum())

    def ranked(self) -> Ranked:
        """The bins as a ranking, highest first; empty ones left out."""
        kept = (self.tumour + self.normal) > 0
        return Ranked(*(side[kept][::-1].astype(np.float64) for side in (self.tumour, self.normal)))

    def auc_pr(self) -> float | None:
        """Average precision with the cells of a bin tied; None where one of the two kinds has no cell."""
        return number(self.ranked().average_precision())

    def trapezoid(self) -> float | None:
        """Area by straight lines between bins."""
        return number(self.ranked().trapezoid())

    def prevalence(self) -> float | None:
        """Share of tumour; None where no cell was counted."""
        return number(self.ranked().prevalence())

    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest exact average precision of any scores with these counts; None where undefined.

        Lowest: in every bin all normal cells come first, each tumour cell by itself after them. Highest: all tumour
        cells of a bin first and tied.
        """
        rank = self.ranked()
        if number(rank.average_precision()) is None:
            return None
        here, beside = rank.tumour, rank.normal
        found, wrong = here.cumsum() - here, beside.cumsum() - beside
        # The sum of (T + i) / (T + i + F) over i = 1 .. p, in closed form.
        after = wrong + beside
        low = here - after * (digamma(found + after + here + 1) - digamma(found + after + 1))
        # A sum of no cell is 0 / 0 before the first one.
        top = np.divide(found + here, found + here + wrong, out=np.zeros_like(found), where=found + here > 0)
        total = float(here.sum())
        return float(low.sum()) / total, float((here * top).sum()) / total


def as_arrays(histogram: HeatHistogram) -> dict[str, Any]:
    """The counts as plain lists, for JSON; ``HeatHistogram(**...)`` of arrays of them gives it back."""
    return {"tumour": histogram.tumour.tolist(), "normal": histogram.normal.tolist()}
