"""A universal change in numbers: success on the images it was made on and on unseen ones, and per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.images import DENSE, Task
from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.core.universal import Spread, Tally
from percuss.evaluate.clean import labels
from percuss.evaluate.intervals import Clusters, Floats, mean, proportion, statistic
from percuss.evaluate.paired import paired_difference
from percuss.evaluate.universal_heat import heat_fields, heat_findings

ALL, MEAN = "all", "mean over classes"


def tallies(rows: pd.DataFrame, classes: Sequence[str], task: Task, *, seed: int) -> list[Tally]:
    """All images, each class, and the mean over classes, for each split in the order of the rows.

    Args:
        rows: one row per image: split, group, label, correct, and a flag for each kind of flip.
        classes: names in index order; of several labels, a class is the images that have the label.
        task: ``classify``, ``multilabel``, or ``segment``: a class is then the images whose truth holds it, and the
            rows hold the columns of ``dice_columns`` too.
        seed: of the bootstrap over patients.
    """
    found = []
    for split, part in rows.groupby("split", sort=False):
        clusters = Clusters.of([str(group) for group in part["group"]], seed)
        member = _members(part, len(classes), task)
        whole = _tally(part, (str(split), ALL), clusters, np.ones(len(part), dtype=bool))
        found.append(replace(whole, **heat_fields(part, seed=seed)))
        found += [_tally(part, (str(split), name), clusters, member[:, i], i) for i, name in enumerate(classes)]
        found.append(_mean_tally(part, str(split), member, clusters))
    return found


def spreads(runs: Sequence[Sequence[Tally]]) -> list[Spread]:
    """Mean, standard deviation and range over runs of the same splits and classes, in the order of the first."""
    found = []
    for item in runs[0]:
        same = [other for run in runs for other in run if (other.split, other.name) == (item.split, item.name)]
        kinds = ([getattr(other, kind).value for other in same] for kind in ("success", "success_stored", "noise"))
        areas = [other.auc_pr_after.value for other in same if other.auc_pr_after is not None]
        told = {"auc_pr_after": _over(areas)} if areas else {}
        found.append(Spread(item.split, item.name, *(_over(values) for values in kinds), **told))
    return found


def _over(values: Sequence[float | None]) -> dict[str, float | None]:
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return {"mean": None, "sd": None, "least": None, "most": None, "seeds": 0}
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    ends = {"least": float(known.min()), "most": float(known.max())}
    return {"mean": float(known.mean()), "sd": sd, **ends, "seeds": len(known)}


def destinations(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, list[list[int]]]:
    """Where images that were right go, for each split: rows true class, columns decision after (classify only)."""
    found = {}
    for split, part in rows[rows["correct"].astype(bool)].groupby("split", sort=False):
        matrix = np.zeros((len(classes), len(classes)), dtype=int)
        np.add.at(matrix, (part["label"].astype(int).to_numpy(), part["after"].astype(int).to_numpy()), 1)
        found[str(split)] = matrix.tolist()
    return found


def universal_findings(rows: pd.DataFrame, *, seed: int) -> list[Finding]:
    """Patients in both splits, and a change that is no better than noise of its own size.

    Of heat maps the second is judged by AUC-PR: ``evaluate.universal_heat.heat_findings``.
    """
    found = []
    splits = list(dict.fromkeys(rows["split"]))
    named = [set(rows.loc[(rows["split"] == split) & (rows["group"] != ""), "group"]) for split in splits]
    both = set.intersection(*named) if len(named) > 1 else set()
    if both:
        found.append(
            Finding(
                "patients-in-both-splits",
                "warning",
                f"{len(both)} patients have images in both splits, first {min(both)}: success on unseen images is "
                "success on seen patients.",
                {"patients": len(both)},
            )
        )
    last = rows[rows["split"] == splits[-1]]
    clusters = Clusters.of([str(group) for group in last["group"]], seed)
    if "scores_after" in rows:
        whole = _tally(last, (str(splits[-1]), ALL), clusters, np.ones(len(last), dtype=bool))
        return found + heat_findings(replace(whole, **heat_fields(last, seed=seed)))
    gap = paired_difference(last["success"].to_numpy(dtype=bool), last["noise"].to_numpy(dtype=bool), clusters)
    # Few patients give no interval; then the counts alone decide.
    low = gap.difference.low
    weak = gap.first_only <= gap.second_only or (low is not None and low <= 0)
    if weak and not _worse_masks(last, clusters):
        found.append(
            Finding(
                "universal-not-above-noise",
                "warning",
                f"On the split {splits[-1]} the change flips {int(last['success'].sum())} images and noise of the same "
                f"size {int(last['noise'].sum())}: nothing was learned that noise does not do.",
                {"only_change": gap.first_only, "only_noise": gap.second_only},
            )
        )
    return found


def _worse_masks(rows: pd.DataFrame, clusters: Clusters) -> bool:
    """Whether masks are clearly worse with the change than with noise, though few of them cross the bar."""
    if "quality_after" not in rows:
        return False
    lost = (rows["quality_noise"] - rows["quality_after"]).to_numpy(dtype=float)
    low = mean(lost, clusters, np.ones(len(rows), dtype=bool)).low
    return low is not None and low > 0


def _members(part: pd.DataFrame, count: int, task: Task) -> NDArray[np.bool_]:
    if task in DENSE:
        held = [{int(value) for value in str(text).split("|") if value} for text in part["label"]]
        return np.array([[index in some for index in range(count)] for some in held], dtype=bool).reshape(-1, count)
    truth = labels(part["label"], task)
    return truth.astype(bool) if task == "multilabel" else truth[:, None] == np.arange(count)


def _tally(
    part: pd.DataFrame, key: tuple[str, str], clusters: Clusters, within: NDArray[np.bool_], index: int | None = None
) -> Tally:
    right = part["correct"].to_numpy(dtype=bool)

    def one(kind: str) -> Interval:
        return proportion(part[kind].to_numpy(dtype=bool), clusters, right & within)

    dice = _dice(part, clusters, within, index)
    robust = proportion(right & ~part["success"].to_numpy(dtype=bool), clusters, within)
    return Tally(
        *key,
        one("success"),
        one("success_stored"),
        one("noise"),
        one("noise_stored"),
        robust,
        dice=dice[0],
        dice_after=dice[1],
        dice_stored=dice[2],
        dice_noise=dice[3],
    )


def dice_columns(index: int | None) -> list[str]:
    """Columns of the Dice coefficient of a class, or of the quality (None), before and in the order of ``Tally``."""
    name = "quality" if index is None else f"dice_{index}"
    return [name, *(f"{name}_{state}" for state in ("after", "stored", "noise"))]


def _dice(
    part: pd.DataFrame, clusters: Clusters, within: NDArray[np.bool_], index: int | None
) -> list[Interval | None]:
    columns = dice_columns(index)
    if index == 0 or columns[0] not in part:
        return [None] * 4
    return [mean(part[name].to_numpy(dtype=float), clusters, within) for name in columns]


def _mean_tally(part: pd.DataFrame, split: str, member: NDArray[np.bool_], clusters: Clusters) -> Tally:
    right = part["correct"].to_numpy(dtype=bool)
    inside = member & right[:, None]
    rarest = inside[:, int(inside.sum(0).argmin())]

    def one(kind: str) -> Interval:
        hit = part[kind].to_numpy(dtype=bool)

        def share(weights: Floats) -> float | None:
            size = weights @ inside
            return float((weights @ (inside & hit[:, None]) / size).mean()) if (size > 0).all() else None

        return statistic(share(np.ones(len(part))), clusters, share, rarest=rarest)

    return Tally(split, MEAN, one("success"), one("success_stored"), one("noise"), one("noise_stored"), None)
