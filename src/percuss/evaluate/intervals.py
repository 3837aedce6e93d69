"""Two-sided 95 % intervals: Wilson for proportions, patient-cluster bootstrap where patients are known.

Wilson: E. B. Wilson, JASA 22 (1927) 209-212. Bootstrap: percentile interval over seeded draws of whole
patients (or of images where no patient is known and the number is not a proportion).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from percuss.core.results import Interval

Floats = NDArray[np.float64]
_LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Clusters:
    """Which image belongs to which patient, and the draws that every interval of a run shares.

    Attributes:
        codes: patient number of each image; images of their own where patients are unknown.
        known: patients are known for every image and there are fewer than images.
        draws: how often each patient is drawn, ``[draws, patients]``.
    """

    codes: NDArray[np.int64]
    known: bool
    draws: Floats

    @classmethod
    def of(cls, groups: Sequence[str], seed: int, draws: int = 2000) -> Clusters:
        """From one group name per image (empty where unknown)."""
        names = pd.Series(list(groups), dtype=object)
        known = bool((names != "").all()) and names.nunique() < len(names)
        codes = np.asarray(pd.factorize(names)[0], dtype=np.int64) if known else np.arange(len(names))
        count = int(codes.max()) + 1 if len(codes) else 0
        # Ten million drawn counts are 80 MB: fewer draws for very large sets.
        draws = int(np.clip(10_000_000 // max(count, 1), 200, draws))
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws) if count else np.zeros((draws, 0))
        return cls(codes, known, drawn.astype(np.float64))

    @property
    def count(self) -> int:
        """Number of patients, or of images where patients are unknown."""
        return int(self.draws.shape[1])

    def sums(self, values: NDArray[Any]) -> Floats:
        """The values (one per image) summed in each draw, ``[draws]``."""
        each = np.bincount(self.codes, weights=values.astype(np.float64), minlength=self.count)
        return np.asarray(self.draws @ each)

    def weights(self, draw: int) -> Floats:
        """How often each image is drawn in one draw."""
        return np.asarray(self.draws[draw][self.codes])

    def method(self, what: str = "bootstrap") -> str:
        """Text for an interval's method."""
        unit = f"patient-cluster {what}, {self.count} clusters" if self.known else f"{what} over images"
        return f"{unit}, {len(self.draws)} draws"


def wilson(hits: int, n: int, *, count: int | None = None, method: str = "Wilson") -> Interval:
    """Wilson interval of ``hits / n``; with ``count`` as if that many were observed at the same share."""
    if n == 0:
        return Interval(value=None, low=None, high=None, n=0, method="undefined: no image")
    size = n if count is None else count
    found = binomtest(round(hits / n * size), size).proportion_ci(method="wilson")
    return Interval(value=hits / n, low=float(found.low), high=float(found.high), n=n, method=method)


def proportion(flags: NDArray[np.bool_], clusters: Clusters, within: NDArray[np.bool_] | None = None) -> Interval:
    """Share of true flags, among the images ``within`` (all where None).

    Wilson where patients are unknown; else the patient-cluster bootstrap, and where every image agrees (the
    bootstrap would have no width) Wilson with the number of patients as n.
    """
    within = np.ones(len(flags), dtype=bool) if within is None else within
    hits, n = int((flags & within).sum()), int(within.sum())
    if not clusters.known or n == 0:
        return wilson(hits, n)
    if hits in (0, n):
        patients = len(np.unique(clusters.codes[within]))
        return wilson(hits, n, count=patients, method=f"Wilson over {patients} patients")
    return _percentile(hits / n, clusters.sums(flags & within), clusters.sums(within), n=n, clusters=clusters)


def mean(values: Floats, clusters: Clusters, within: NDArray[np.bool_]) -> Interval:
    """Mean of the values among the images ``within``, by bootstrap over patients or images."""
    n = int(within.sum())
    if n == 0:
        return wilson(0, 0)
    inside = np.where(within, values, 0.0)
    return _percentile(inside.sum() / n, clusters.sums(inside), clusters.sums(within), n=n, clusters=clusters)


def statistic(
    value: float | None, clusters: Clusters, again: Callable[[Floats], float | None], *, n: int, draws: int = 400
) -> Interval:
    """Any statistic that takes image weights; ``again`` gives it for one draw, None where undefined there."""
    if value is None:
        return Interval(value=None, low=None, high=None, n=n, method="undefined: a class has no image")
    found = [again(clusters.weights(i)) for i in range(min(draws, len(clusters.draws)))]
    kept = [item for item in found if item is not None]
    if not kept:
        return Interval(value=value, low=None, high=None, n=n, method="undefined: too few patients per class")
    low, high = np.quantile(kept, _LEVELS)
    name = clusters.method().rsplit(",", 1)[0]
    return Interval(value=value, low=float(low), high=float(high), n=n, method=f"{name}, {len(kept)} draws")


def _percentile(value: float, top: Floats, bottom: Floats, *, n: int, clusters: Clusters) -> Interval:
    kept = bottom > 0
    low, high = np.quantile(top[kept] / bottom[kept], _LEVELS)
    return Interval(value=float(value), low=float(low), high=float(high), n=n, method=clusters.method())
