"""Robust accuracy and success rate per attack and budget, and for the worst case over attacks.

Robust accuracy counts all images: right before and after. A flip at one size counts at every larger size of
the same norm, so a curve never rises, and it starts at or below the clean accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.images import DENSE, Task
from percuss.core.results import CurvePoint
from percuss.evaluate.intervals import Clusters, Floats, mean, proportion

#: Attacks that only show what chance does: never part of the worst case, lest a run of noise alone look robust.
CONTROLS = frozenset({"noise", "code_noise"})
WORST = "worst"


@dataclass(frozen=True)
class Point:
    """What one attack did at one budget, one value per image in the order of the clean table."""

    attack: str
    norm: str
    budget: str
    eps: float
    flipped: NDArray[np.bool_]
    stored: NDArray[np.bool_]
    raw: NDArray[np.bool_]  # flipped at this very size, without what smaller sizes did
    confidence: Floats
    cost: Floats


def points(rows: pd.DataFrame, clean: pd.DataFrame, *, task: Task = "classify") -> list[Point]:
    """Every attack at every budget, sizes ascending within attack and norm, then the worst case per norm."""
    order = pd.Index(clean["id"])
    right = clean["correct"].to_numpy(dtype=bool)
    single = [
        _point((str(attack), str(norm)), part.sort_values("eps"), order, right=right, task=task)
        for (attack, norm), part in rows.groupby(["attack", "norm"], sort=False)
    ]
    found = [point for series in single for point in series]
    return found + _worst(found)


def curve(found: list[Point], clean: pd.DataFrame, clusters: Clusters) -> list[CurvePoint]:
    """The points as numbers with intervals."""
    right = clean["correct"].to_numpy(dtype=bool)
    sure = clean["confidence"].to_numpy(dtype=np.float64)
    return [
        CurvePoint(
            attack=point.attack,
            norm=point.norm,
            budget=point.budget,
            eps=point.eps if math.isfinite(point.eps) else None,
            robust_accuracy=proportion(right & ~point.flipped, clusters),
            robust_accuracy_stored=proportion(right & ~point.stored, clusters),
            success_rate=proportion(point.flipped, clusters, right),
            success_rate_stored=proportion(point.stored, clusters, right),
            confidence_change=mean(point.confidence - sure, clusters, right),
            median_gradient_evaluations=float(np.median(point.cost[right])) if right.any() else 0.0,
        )
        for point in found
    ]


def _point(
    key: tuple[str, str], part: pd.DataFrame, order: pd.Index[str], *, right: NDArray[np.bool_], task: Task
) -> list[Point]:
    """One attack under one norm: a point per budget, flips of smaller sizes carried on."""
    found: list[Point] = []
    before = np.zeros(len(order), dtype=bool)
    before_stored, spent = before.copy(), np.zeros(len(order))
    for budget, rows in part.groupby("budget", sort=False):
        one = rows.set_index("id").reindex(order)
        success = one["success"].eq(True).to_numpy() & right
        stored = one["success_stored"].eq(True).to_numpy() & right
        # Signed: certain of the right answer +1, certain of a wrong one -1.
        # Maps that hold the same classes may still differ: there the margin tells.
        fine = one["margin"].le(0) if task in DENSE else one["prediction"].eq(one["label"])
        sign = np.where(fine, 1.0, -1.0)
        before, before_stored = before | success, before_stored | stored
        spent = spent + one["gradient_evaluations"].fillna(0).to_numpy(dtype=np.float64)
        found.append(
            Point(
                *key,
                str(budget),
                float(rows["eps"].iloc[0]),
                before,
                before_stored,
                success,
                sign * one["confidence"].to_numpy(dtype=np.float64),
                spent,
            )
        )
    return found


def _worst(found: list[Point]) -> list[Point]:
    """Per norm and budget, the union over attacks; none for a norm where only controls were run."""
    real = [point for point in found if point.attack not in CONTROLS]
    keys = dict.fromkeys((point.norm, point.budget) for point in real)
    worst = []
    for norm, budget in sorted(keys, key=lambda k: next(p.eps for p in real if (p.norm, p.budget) == k)):
        eps = next(p.eps for p in real if (p.norm, p.budget) == (norm, budget))
        # An attack run at other sizes of the norm counts with its largest size up to this one.
        same = [p for p in real if p.norm == norm and p.eps <= eps]
        at = [p for p in same if p.budget == budget]
        worst.append(
            Point(
                WORST,
                norm,
                budget,
                eps,
                np.logical_or.reduce([p.flipped for p in same]),
                np.logical_or.reduce([p.stored for p in same]),
                np.logical_or.reduce([p.raw for p in at]),
                np.min([p.confidence for p in at], axis=0),
                np.sum([p.cost for p in at], axis=0),
            )
        )
    return sorted(worst, key=lambda p: list(dict.fromkeys(q.norm for q in real)).index(p.norm))
