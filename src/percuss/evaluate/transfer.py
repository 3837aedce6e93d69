"""Transfer matrix from rows: how often what was made on one model flips another, with intervals and doubts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.outcome import Finding
from percuss.core.transfer import NOISE, TransferCell
from percuss.evaluate.curves import CONTROLS
from percuss.evaluate.intervals import Clusters, proportion
from percuss.evaluate.paired import paired_difference

_CELL = ["attack", "norm", "budget", "source", "target"]


def transfer_cells(rows: pd.DataFrame, groups: Sequence[str], *, seed: int) -> list[TransferCell]:
    """Every cell of the matrix, in the order of the rows.

    Args:
        rows: one row per image, attack, budget, source and target, images in one order within each cell
            (``percuss.pipeline.transfer``).
        groups: patient of each image in that order, empty where unknown.
        seed: of the bootstrap over patients.
    """
    clusters, found = Clusters.of(groups, seed), []
    for (attack, norm, budget, source, target), part in rows.groupby(_CELL, sort=False):
        right = _flags(part, "correct_target")
        both = right & _flags(part, "correct_source")
        eps = float(part["eps"].iloc[0])
        found.append(
            TransferCell(
                source=str(source),
                target=str(target),
                attack=str(attack),
                norm=str(norm),
                budget=str(budget),
                eps=eps if math.isfinite(eps) else None,
                both=proportion(_flags(part, "success"), clusters, both),
                both_stored=proportion(_flags(part, "success_stored"), clusters, both),
                given=proportion(_flags(part, "success"), clusters, both & _flags(part, "success_source")),
                robust=proportion(right & ~_flags(part, "success"), clusters),
            )
        )
    return found


def transfer_findings(rows: pd.DataFrame, groups: Sequence[str], *, seed: int) -> list[Finding]:
    """Few images behind a cell, and attacks from elsewhere that flip a model more often than its own."""
    clusters = Clusters.of(groups, seed)
    parts = {tuple(map(str, key)): part for key, part in rows.groupby(_CELL, sort=False)}
    found: list[Finding] = []
    few = {}
    for key, part in parts.items():
        source, target = key[3], key[4]
        both = _flags(part, "correct_target") & _flags(part, "correct_source")
        if source != NOISE and both.sum() < 30:
            few[f"{source} on {target}"] = int(both.sum())
        own = parts.get((*key[:3], target, target))
        if source in (NOISE, target) or key[0] in CONTROLS or own is None:
            continue
        paired = paired_difference(_flags(part, "success") & both, _flags(own, "success") & both, clusters)
        if paired.difference.low is not None and paired.difference.low > 0:
            found.append(
                Finding(
                    "transfer-beats-white-box",
                    "severe",
                    f"{key[0]} within {key[2]} made on {source} flips {target} more often than the same attack made on "
                    f"{target} itself ({paired.first_only} images against {paired.second_only}): the gradients of "
                    f"{target} mislead, and its robustness is overstated.",
                    {"source": source, "target": target, "attack": key[0], "budget": key[2]},
                )
            )
    if few:
        least = min(few.values())
        found.append(
            Finding(
                "few-shared-right",
                "warning",
                f"For {len(few)} pairs of models fewer than 30 images are right on both (least {least}): intervals are "
                "wide.",
                {"images": few},
            )
        )
    return found


def _flags(part: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    return part[column].to_numpy(dtype=bool)
