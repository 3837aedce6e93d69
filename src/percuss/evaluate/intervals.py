"""Two-sided 95 % intervals: Wilson (or exact) for proportions, patient-cluster bootstrap where patients are known.

Wilson: E. B. Wilson, JASA 22 (1927) 209-212. Bootstrap: percentile interval over seeded draws of whole
patients (or of images where no patient is known and the number is not a proportion). Where every draw gives the
same number the bootstrap says nothing, and its zero width would claim certainty: then Wilson over the
independent units stands in, or no interval is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta, norm

from percuss.core.results import Interval

Floats = NDArray[np.float64]
_LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Clusters:
    """Which image belongs to which patient, and the draws that every interval of a run shares.

    Attributes:
        codes: patient number of each image; an image of unknown patient counts as a patient of its own.
        known: some patient is known to have several images.
        loose: images whose patient is unknown although others' are known.
        draws: how often each patient is drawn, ``[draws, patients]``.
    """

    codes: NDArray[np.int64]
    known: bool
    draws: Floats
    loose: int = 0

    @classmethod
    def of(cls, groups: Sequence[str], seed: int, draws: int = 2000) -> Clusters:
        """From one group name per image (empty where unknown)."""
        names = pd.Series(list(groups), dtype=object)
        named = (names != "").to_numpy(dtype=bool)
        known = bool(named.any()) and names[named].nunique() < int(named.sum())
        # Tuples, so that no patient's name can meet the number of a loose image.
        units = [(name, -1) if name else ("", place) for place, name in enumerate(names)]
        codes = np.asarray(pd.factorize(pd.Series(units, dtype=object))[0] if known else np.arange(len(names)))
        count = int(codes.max()) + 1 if len(codes) else 0
        # Ten million drawn counts are 80 MB: fewer draws for very large sets.
        draws = int(np.clip(10_000_000 // max(count, 1), 200, draws))
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws) if count else np.zeros((draws, 0))
        return cls(codes.astype(np.int64), known, drawn.astype(np.float64), int((~named).sum()) if known else 0)

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
        loose = f" ({self.loose} images of unknown patient each their own)" if self.loose else ""
        return f"{unit}{loose}, {len(self.draws)} draws"

    def units(self, within: NDArray[np.bool_]) -> int:
        """Independent units (patients, or images where unknown) among the images ``within``."""
        return len(np.unique(self.codes[within]))


def wilson(hits: int, n: int, *, count: int | None = None, method: str = "Wilson") -> Interval:
    """Wilson interval of ``hits / n``; with ``count`` as wide as if that many had been observed at the same share."""
    if n == 0:
        return Interval(value=None, low=None, high=None, n=0, method="undefined: no image")
    low, high = _wilson_ends(hits / n, n if count is None else count)
    return Interval(value=hits / n, low=low, high=high, n=n, method=method)


def exact(hits: int, n: int) -> Interval:
    """Exact interval of ``hits / n`` (C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404-413)."""
    if n == 0:
        return wilson(0, 0)
    low = float(beta.ppf(_LEVELS[0], hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(_LEVELS[1], hits + 1, n - hits)) if hits < n else 1.0
    return Interval(value=hits / n, low=low, high=high, n=n, method="exact (Clopper-Pearson)")


def proportion(flags: NDArray[np.bool_], clusters: Clusters, within: NDArray[np.bool_] | None = None) -> Interval:
    """Share of true flags, among the images ``within`` (all where None).

    Wilson where patients are unknown; else the patient-cluster bootstrap, and where it has no width (all images
    agree, one patient, or all patients alike) Wilson with the number of patients as n.
    """
    within = np.ones(len(flags), dtype=bool) if within is None else within
    hits, n = int((flags & within).sum()), int(within.sum())
    if not clusters.known or n == 0:
        return wilson(hits, n)
    found = _percentile(hits / n, clusters.sums(flags & within), clusters.sums(within), n=n, clusters=clusters)
    if 0 < hits < n and found.low != found.high:
        return found
    patients = clusters.units(within)
    return wilson(hits, n, count=patients, method=f"Wilson over {patients} patients")


def mean(values: Floats, clusters: Clusters, within: NDArray[np.bool_]) -> Interval:
    """Mean of the finite values among the images ``within``, by bootstrap over patients or images.

    No bounds where there is only one patient or image.
    """
    within = within & np.isfinite(values)
    n = int(within.sum())
    if n == 0:
        return wilson(0, 0)
    inside = np.where(within, values, 0.0)
    value = float(inside.sum() / n)
    if clusters.units(within) == 1:
        return _boundless(value, n, clusters)
    return _percentile(value, clusters.sums(inside), clusters.sums(within), n=n, clusters=clusters)


def ratios(tops: Floats, bottoms: Floats, clusters: Clusters) -> list[Interval]:
    """Quotients of two sums over images, each between 0 and 1, by bootstrap over patients or images.

    All columns share one pass over the draws. Where every draw gives 0 or every draw 1, Wilson over the independent
    units behind the bottom stands in.

    Args:
        tops, bottoms: ``[images, quotients]``, neither below 0; an image with 0 in both does not count.
        clusters: the images' patients and draws.

    Returns:
        One interval for each column; its n counts the images with a bottom above 0.
    """
    sums = []
    for values in (tops, bottoms):
        each = np.zeros((clusters.count, values.shape[1]))
        np.add.at(each, clusters.codes, values)
        sums.append(clusters.draws @ each)
    found = []
    for column in range(tops.shape[1]):
        top, bottom = tops[:, column], bottoms[:, column]
        within = bottom > 0
        n = int(within.sum())
        if n == 0:
            found.append(wilson(0, 0))
            continue
        value = float(top.sum() / bottom.sum())
        item = _percentile(value, sums[0][:, column], sums[1][:, column], n=n, clusters=clusters)
        if clusters.units(within) == 1:
            item = _boundless(value, n, clusters)
        elif item.low == item.high:
            item = _extreme(value, clusters, within, "which all are alike").model_copy(update={"n": n})
        found.append(item)
    return found


def statistic(
    value: float | None,
    clusters: Clusters,
    again: Callable[[Floats], float | None],
    *,
    rarest: NDArray[np.bool_],
    draws: int = 400,
) -> Interval:
    """A statistic in [0, 1] that takes image weights, by bootstrap over patients or images.

    Args:
        value: of all images, None where undefined.
        clusters: the images' patients and draws.
        again: gives the statistic for the weights of one draw, None where undefined there.
        rarest: the images of the class with the fewest. Where every draw gives 0 or every draw 1, Wilson over their
            number stands in: an AUC of 1 means that many independent pairs of a positive and a negative image were
            all ranked rightly, and no more independent pairs can be made.
        draws: most draws to take.
    """
    n = len(clusters.codes)
    if value is None:
        return Interval(value=None, low=None, high=None, n=n, method="undefined: a class has no image")
    found = [again(clusters.weights(i)) for i in range(min(draws, len(clusters.draws)))]
    kept = [item for item in found if item is not None]
    if not kept:
        return Interval(value=value, low=None, high=None, n=n, method="undefined: too few patients per class")
    low, high = np.quantile(kept, _LEVELS)
    if low == high:
        return _extreme(value, clusters, rarest)
    name = clusters.method().rsplit(",", 1)[0]
    return Interval(value=value, low=float(low), high=float(high), n=n, method=f"{name}, {len(kept)} draws")


def _extreme(value: float, clusters: Clusters, rarest: NDArray[np.bool_], of: str = "the rarest class") -> Interval:
    """Bounds for a statistic of 0 or 1 on which all draws agree; none in between, where one patient is all there is."""
    n, units = len(clusters.codes), clusters.units(rarest)
    if min(value, 1 - value) > 1e-12 or clusters.count == 1:
        return _boundless(value, n, clusters)
    low, high = _wilson_ends(float(round(value)), units)
    what = "patients" if clusters.known else "images"
    name = f"Wilson over the {units} {what} of {of}"
    return Interval(value=value, low=low, high=high, n=n, method=name)


def _boundless(value: float, n: int, clusters: Clusters) -> Interval:
    what = "patient" if clusters.known else "image"
    return Interval(value=value, low=None, high=None, n=n, method=f"undefined: one {what}, or all alike")


def _wilson_ends(share: float, size: int) -> tuple[float, float]:
    """Wilson's limits of a share seen in ``size`` trials; the share need not be a whole number of them."""
    z = float(norm.ppf(_LEVELS[1]))
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * math.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    # Rounding must not push a limit past the share itself.
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def _percentile(value: float, top: Floats, bottom: Floats, *, n: int, clusters: Clusters) -> Interval:
    kept = bottom > 0
    low, high = np.quantile(top[kept] / bottom[kept], _LEVELS)
    return Interval(value=float(value), low=float(low), high=float(high), n=n, method=clusters.method())
