"""Median sizes of the smallest flips of a set, absolute and against its contrast, and differences between sets.

A limit of 0.002 on every value is not equally strong on a faint and on a glaring image, and a length adds up over more
values on a larger one. So sizes are per value (l2 as root mean square) and set against the contrast of the images.
Intervals draw whole patients where they are known (``evaluate.intervals``); two sets are drawn by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from percuss.core.errors import DataError
from percuss.core.fragility import MEASURES, Difference, MedianSize, SetFragility
from percuss.core.results import Interval
from percuss.evaluate.intervals import Clusters, Floats, proportion

_LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Flipped:
    """Images of one set, one value each.

    Attributes:
        sizes: by norm (``MEASURES``) the smallest change that flips the image, per value in [0, 1] units; infinity
            where none did. Images that are wrong from the start do not count.
        right: decided rightly before any change.
        variance: of the values within the image.
        groups: patient, empty where unknown.
        shape: channels, height, width.
    """

    sizes: Mapping[str, Floats]
    right: NDArray[np.bool_]
    variance: Floats
    groups: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Drawn:
    """A set with its medians in every draw: by norm the absolute ones and those against the contrast of the draw."""

    found: SetFragility
    draws: Mapping[str, tuple[Floats, Floats]]
    method: str


def measured(images: Flipped, *, seed: int) -> Drawn:
    """Medians of a set with their draws. DataError where no image is decided rightly, or images have no contrast."""
    if not images.right.any():
        raise DataError("no image is decided rightly, so none can be flipped", value=f"{len(images.right)} images")
    clusters = Clusters.of(images.groups, seed)
    everyone = np.ones(len(images.right))
    contrast = float(np.sqrt(images.variance.mean()))
    if not contrast > 0:
        raise DataError("the images have no contrast", value=contrast, next_step="look at the images and their window")
    weights = np.stack([clusters.weights(draw) for draw in range(len(clusters.draws))])
    contrasts = np.sqrt((weights @ images.variance) / weights.sum(1))
    draws = {}
    sizes = []
    for norm, values in images.sizes.items():
        only = values[images.right]
        medians = weighted_median(only, weights[:, images.right])
        draws[norm] = (medians, medians / contrasts)
        middle = float(weighted_median(only, everyone[None, images.right])[0])
        ends = [
            _interval(one, each, clusters) for one, each in zip((middle, middle / contrast), draws[norm], strict=True)
        ]
        sizes.append(MedianSize(norm, MEASURES[norm], ends[0], ends[1], int(np.isinf(only).sum())))
    found = SetFragility(
        n=len(images.right),
        n_right=int(images.right.sum()),
        accuracy=proportion(images.right, clusters),
        contrast=contrast,
        shape=images.shape,
        sizes=tuple(sizes),
    )
    return Drawn(found, draws, clusters.method())


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """The smallest value up to which half of the weight lies, for each row of weights; NaN where a row weighs nothing.

    Args:
        values: ``[N]``, infinity allowed.
        weights: ``[draws, N]``, at least 0.
    """
    order = np.argsort(values, kind="stable")
    heaped = np.cumsum(weights[:, order], axis=1)
    first = (heaped >= heaped[:, -1:] / 2).argmax(axis=1)
    return np.where(heaped[:, -1] > 0, values[order][first], np.nan)


def difference(names: tuple[str, str], one: Drawn, control: Drawn, *, norm: str) -> Difference:
    """A set minus a control under a norm; ``names`` of both."""
    mine, theirs = (next(item for item in side.found.sizes if item.norm == norm) for side in (one, control))
    ends = []
    for place, pair in enumerate(((mine.absolute, theirs.absolute), (mine.relative, theirs.relative))):
        values = [side.value for side in pair]
        draws = one.draws[norm][place], control.draws[norm][place]
        ends.append(_difference(values, draws, one.found.n_right + control.found.n_right))
    return Difference(*names, norm, MEASURES[norm], ends[0], ends[1], _answer(names, *ends))


def _difference(values: list[float | None], draws: tuple[Floats, Floats], n: int) -> Interval:
    if values[0] is None or values[1] is None:
        return Interval(value=None, low=None, high=None, n=n, method="undefined: half of a set was never flipped")
    count = min(map(len, draws))
    gaps = _finite(draws[0][:count]) - _finite(draws[1][:count])
    kept = gaps[np.isfinite(gaps)]
    low, high = np.quantile(kept, _LEVELS) if len(kept) == count else (0.0, 0.0)
    value, method = values[0] - values[1], f"bootstrap of both sets, {count} draws"
    if low == high:
        return Interval(value=value, low=None, high=None, n=n, method="undefined: draws without a median, or all alike")
    return Interval(value=value, low=float(low), high=float(high), n=n, method=method)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _interval(value: float, draws: Floats, clusters: Clusters) -> Interval:
    n = len(clusters.codes)
    if not np.isfinite(value):
        return Interval(value=None, low=None, high=None, n=n, method="undefined: half of the images were never flipped")
    low, high = np.quantile(draws, _LEVELS) if np.isfinite(draws).all() else (0.0, 0.0)
    if low == high:  # a width of zero would claim certainty, and a median that is not there has no end
        return Interval(value=value, low=None, high=None, n=n, method="undefined: draws without a median, or all alike")
    return Interval(value=value, low=float(low), high=float(high), n=n, method=clusters.method())


def _answer(names: tuple[str, str], absolute: Interval, relative: Interval) -> str:
    said = [_side(names[0], item) for item in (absolute, relative)]
    if said[0] == said[1]:
        return f"{said[0]}, absolute and against contrast"
    return f"absolute: {said[0]}; against contrast: {said[1]}"


def _side(name: str, gap: Interval) -> str:
    if gap.low is None or gap.high is None:
        return "not measured"
    if gap.high < 0:
        return f"{name} is more fragile"
    return f"{name} is less fragile" if gap.low > 0 else "no difference shown"
