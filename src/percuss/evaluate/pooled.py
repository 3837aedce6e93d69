"""Paired differences pooled over training seeds, with an interval over seeds and images.

A seed is one draw of a training, an image (or patient) one draw of the patients to come; the same images are judged by
every seed's models. The mean difference then varies with both: the variance over the seeds' means, divided by their
number, and that over the images' (patients') means, divided by theirs, are added, and degrees of freedom come from
F. E. Satterthwaite, Biometrics Bulletin 2 (1946) 110-114. What varies within a seed and image alone is counted in
both, so that the interval is a little wide rather than narrow. With one seed it speaks of images alone, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from percuss.core.comparison import CLEAN, Pooled
from percuss.core.errors import UsageError
from percuss.core.results import Interval
from percuss.evaluate.comparison import Side, flags_of
from percuss.evaluate.intervals import Clusters

Floats = NDArray[np.float64]


def pool_sides(firsts: Sequence[Side], seconds: Sequence[Side], groups: Sequence[str]) -> list[Pooled]:
    """The mean over seeds of first minus second, at each cell that all sides share.

    Args:
        firsts, seconds: one side per seed, paired by place, all with the same ids in the same order.
        groups: patient of each image, empty where unknown.

    Raises:
        UsageError: not as many firsts as seconds.
    """
    if not firsts or len(firsts) != len(seconds):
        raise UsageError(
            "pooling needs pairs of runs",
            value=f"{len(firsts)} and {len(seconds)}",
            allowed="as many runs of the first kind as of the second",
        )
    clusters = Clusters.of(groups, 0, draws=1)
    one, two = ([flags_of(side) for side in sides] for sides in (firsts, seconds))
    found = []
    for attack, norm, eps in [cell for cell in one[0] if all(cell in other for other in (*one, *two))]:
        held = one[0][attack, norm, eps]
        for stored in (False, True) if attack != CLEAN else (False,):
            sides = [
                np.array([flags[attack, norm, eps].right(stored) for flags in kind], dtype=np.float64)
                for kind in (one, two)
            ]
            change = sides[0] - sides[1]
            interval, p_value = over_seeds(change, clusters)
            where = (attack, norm, held.budget, eps if math.isfinite(eps) else None, stored)
            means = (float(sides[0].mean()), float(sides[1].mean()))
            each = tuple(float(value) for value in change.mean(1))
            found.append(Pooled(*where, *means, interval, len(change), each, p_value))
    return _corrected(found)


def over_seeds(change: Floats, clusters: Clusters) -> tuple[Interval, float | None]:
    """The mean of ``change`` with its 95 % interval over seeds and units, and the p value of a mean of zero.

    Args:
        change: one value per seed and image, ``[S, N]``, in [-1, 1].
        clusters: patient of each image, or each image for itself.

    No interval and no p value where nothing varies, or all images are of one patient.
    """
    seeds, count = change.shape
    unit = "patients" if clusters.known else "images"
    if count == 0 or clusters.count < 2:
        return _bare(float(change.mean()) if count else None, count, f"undefined: fewer than two {unit}"), None
    value = float(change.mean())
    left = np.bincount(clusters.codes, weights=change.mean(0) - value, minlength=clusters.count)
    of_units = clusters.count / (clusters.count - 1) * float((left**2).sum()) / count**2
    of_seeds = float(change.mean(1).var(ddof=1)) / seeds if seeds > 1 else 0.0
    whole = of_units + of_seeds
    if whole <= 1e-18:
        return _bare(value, count, "undefined: nothing varies"), None
    free = whole**2 / (of_units**2 / (clusters.count - 1) + (of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0))
    half = float(t.ppf(0.975, free)) * math.sqrt(whole)
    method = f"{seeds} seeds and {clusters.count} {unit}, variances added, {free:.1f} degrees of freedom"
    if seeds == 1:
        method = f"one seed: {clusters.count} {unit} alone, nothing of the training"
    interval = Interval(value=value, low=max(-1.0, value - half), high=min(1.0, value + half), n=count, method=method)
    return interval, float(2 * t.sf(abs(value) / math.sqrt(whole), free))


def _bare(value: float | None, n: int, method: str) -> Interval:
    return Interval(value=value, low=None, high=None, n=n, method=method)


def _corrected(found: list[Pooled]) -> list[Pooled]:
    """With p values corrected after Holm within one attack and way of storing."""
    kept = list(found)
    for family in {(item.attack, item.stored) for item in found}:
        members = [i for i, item in enumerate(found) if (item.attack, item.stored) == family]
        known = [(found[i].p_value or 0.0, i) for i in members if found[i].p_value is not None]
        before = 0.0
        for rank, (p_value, place) in enumerate(sorted(known)):
            before = max(before, min(1.0, p_value * (len(known) - rank)))
            kept[place] = replace(found[place], p_holm=before)
    return kept
