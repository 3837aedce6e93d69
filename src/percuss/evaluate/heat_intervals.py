"""Intervals of average precision by bootstrap over slides (over tiles where there is one slide), on histograms.

Sorting millions of cells anew for every draw would take hours; here each slide (or tile) is counted once in bins of
its scores, a draw weighs these counts, and average precision follows from the weighed counts. The bins are merged until
about ``_COARSE`` hold equal shares of tumour and normal cells; the small shift that this makes in the number is taken
off the draws. All points of a run share their draws, so that differences between them are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from percuss.core.results import Interval
from percuss.evaluate.heat_histogram import BINS, HeatHistogram, bin_of
from percuss.evaluate.heat_scores import Array, Floats, Ranked, judged
from percuss.evaluate.intervals import Clusters

_LEVELS = (0.025, 0.975)
_COARSE = 1024
_DRAWS = 1000
_BLOCK = 100


@dataclass(frozen=True)
class Units:
    """What is drawn: slides, tiles where there is one slide, and images where no slide is known.

    Attributes:
        clusters: unit of each image, and the draws.
        slides: different slides named; 0 where none is.
        kind: what the units are called in words.
    """

    clusters: Clusters
    slides: int
    kind: str

    @classmethod
    def of(cls, groups: Sequence[str], seed: int, draws: int = _DRAWS) -> Units:
        """From the slide of each image, empty where unknown."""
        names = {name for name in groups if name}
        alone = len(names) == 1 and all(groups)
        clusters = Clusters.of([""] * len(groups) if alone or not names else groups, seed, draws)
        kind = "tiles of one slide" if alone else "slides" if clusters.known or names else "images"
        return cls(clusters, len(names), kind)

    def method(self, kept: int) -> str:
        """Text for an interval's method."""
        loose = f" ({self.clusters.loose} images of unknown slide each their own)" if self.clusters.loose else ""
        return f"bootstrap over {self.clusters.count} {self.kind}{loose}, {kept} draws"


@dataclass(frozen=True)
class Counted:
    """Cells of each unit by bin of score, coarse enough for a bootstrap; highest scores first.

    Attributes:
        tumour, normal: float64 ``[units, bins]``.
        fine: all units together in the bins of ``HeatHistogram``.
    """

    tumour: Floats
    normal: Floats
    fine: HeatHistogram

    @classmethod
    def of(cls, maps: Sequence[tuple[Array, Array]], units: Units) -> Counted:
        """From the scores and truth of each image, in the order of the units' images."""
        sides = np.zeros((2, units.clusters.count, BINS), dtype=np.int32)
        for code, (scores, truth) in zip(units.clusters.codes, maps, strict=True):
            values, tumour = judged(scores, truth)
            places = bin_of(values)
            sides[0, code] += np.bincount(places[tumour], minlength=BINS).astype(np.int32)
            sides[1, code] += np.bincount(places[~tumour], minlength=BINS).astype(np.int32)
        tumour, normal = sides.sum(1, dtype=np.int64)
        return cls(*_coarse(sides), HeatHistogram(tumour, normal))

    def whole(self) -> Ranked:
        """All units together."""
        return Ranked(self.tumour.sum(0), self.normal.sum(0))

    def drawn(self, units: Units) -> Floats:
        """Average precision of every draw, ``[draws]``; NaN where a draw has cells of one kind only."""
        draws = units.clusters.draws
        parts = [
            Ranked(part @ self.tumour, part @ self.normal).average_precision()
            for part in np.array_split(draws, max(1, len(draws) // _BLOCK))
        ]
        return np.concatenate(parts)


def _coarse(sides: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Neighbouring bins merged so that each holds a like share of both kinds; highest first."""
    total = sides.sum(1, dtype=np.int64).astype(np.float64)
    share = (total / np.maximum(total.sum(1, keepdims=True), 1)).sum(0).cumsum()
    label = np.minimum((share / max(share[-1], 1e-300) * _COARSE).astype(np.int64), _COARSE - 1)
    starts = np.flatnonzero(np.diff(label, prepend=-1))
    merged = np.add.reduceat(sides, starts, axis=2, dtype=np.int64).astype(np.float64)
    return merged[0][:, ::-1], merged[1][:, ::-1]


def area_interval(value: float | None, counted: Counted, units: Units) -> Interval:
    """The interval of a pooled average precision; without bounds where one unit is all there is, or no draw differs.

    Args:
        value: the exact number, None where undefined.
        counted: the same cells by unit.
        units: what is drawn.
    """
    n = len(units.clusters.codes)
    if value is None:
        return Interval(value=None, low=None, high=None, n=n, method="undefined: no tumour cell, or no normal one")
    draws = counted.drawn(units) + (value - float(counted.whole().average_precision()))
    return bounded(value, draws, units, ends=(0.0, 1.0))


def drop_interval(values: tuple[float | None, float | None], pair: tuple[Counted, Counted], units: Units) -> Interval:
    """The first average precision less the second with its interval, both weighed by the same draws (paired)."""
    if values[0] is None or values[1] is None:
        return area_interval(None, pair[0], units)
    draws = pair[0].drawn(units) - pair[1].drawn(units)
    binned = [float(part.whole().average_precision()) for part in pair]
    value = values[0] - values[1]
    return bounded(value, draws + (value - (binned[0] - binned[1])), units, ends=(-1.0, 1.0))


def bounded(value: float, draws: Floats, units: Units, *, ends: tuple[float, float]) -> Interval:
    """Percentile interval of a number from its draws; those that are NaN are left out and the rest counted."""
    n, kept = len(units.clusters.codes), draws[np.isfinite(draws)]
    if units.clusters.count < 2 or not len(kept):
        why = f"one of the {units.kind}" if units.clusters.count < 2 else "no draw has cells of both kinds"
        return Interval(value=value, low=None, high=None, n=n, method=f"undefined: {why}")
    low, high = (float(min(max(end, ends[0]), ends[1])) for end in np.quantile(kept, _LEVELS))
    if high - low < 1e-12:
        return Interval(value=value, low=None, high=None, n=n, method="undefined: all draws alike")
    return Interval(value=value, low=low, high=high, n=n, method=units.method(len(kept)))


def slide_mean(values: Sequence[float | None], codes: Sequence[int], units: Units) -> Interval:
    """Mean over slides of a number that each has, by the same draws; slides without one are left out.

    Args:
        values: of each slide, None where undefined.
        codes: unit of each slide in ``units``.
        units: what is drawn.
    """
    kept = [(value, code) for value, code in zip(values, codes, strict=True) if value is not None]
    n = len(kept)
    if not kept:
        why = "no slide with cells of both kinds" if values else "no slide is named"
        return Interval(value=None, low=None, high=None, n=0, method=f"undefined: {why}")
    each, places = np.array([value for value, _ in kept]), [code for _, code in kept]
    if n < 2:
        return Interval(value=float(each[0]), low=None, high=None, n=1, method="undefined: one slide")
    weights = units.clusters.draws[:, places]
    total = weights.sum(1)
    draws = np.divide(weights @ each, total, out=np.full(len(total), np.nan), where=total > 0)
    return bounded(float(each.mean()), draws, units, ends=(0.0, 1.0)).model_copy(update={"n": n})
