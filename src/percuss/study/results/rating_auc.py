"""AUC of ratings: how often an image of one arm is rated higher than one of the other; by bootstrap over cases.

The two arms show the same cases, so that positive and negative images are no independent samples: cases (or patients)
are drawn whole, with the ratings of both arms and of every reader. Readers are averaged and taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from percuss.core.results import Interval
from percuss.evaluate.intervals import statistic
from percuss.study.results.arms import ratings
from percuss.study.results.pooled import clusters_of, none
from percuss.study.results.read import Read, readers_of, units

Floats = NDArray[np.float64]


def rating_auc(arm: Sequence[Read], against: Sequence[Read]) -> Interval:
    """Mean over readers of the AUC of ratings of ``arm`` over those of ``against``; 0.5 where they are alike."""
    if not arm or not against:
        return none()
    both = [*arm, *against]
    scores, changed = np.array(ratings(both)), np.arange(len(both)) < len(arm)
    who = np.array([read.reader for read in both])
    masks = [who == name for name in readers_of(both)]

    def again(weights: Floats) -> float | None:
        each = [_auc(scores[mask], changed[mask], weights[mask]) for mask in masks]
        kept = [value for value in each if value is not None]
        return float(np.mean(kept)) if kept else None

    clusters = clusters_of(units(both))
    found = statistic(again(np.ones(len(both))), clusters, again, rarest=changed)
    what = "patients" if any(read.patient for read in both) else "cases"
    method = found.method.replace("patient-cluster bootstrap", "bootstrap").replace("clusters", what)
    method = method.replace("patients of the rarest class", f"{what} of the rarer arm")
    return found.model_copy(update={"n": clusters.count, "method": method})


def _auc(scores: Floats, changed: NDArray[np.bool_], weights: Floats) -> float | None:
    above = np.sign(scores[changed][:, None] - scores[~changed][None, :]) / 2 + 0.5
    each = weights[changed][:, None] * weights[~changed][None, :]
    total = float(each.sum())
    return float((above * each).sum()) / total if total > 0 else None
