"""How many flips are left, and how good heat maps are, after the attacked images were stored and read back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from percuss.core.results import Interval, Survival
from percuss.evaluate.heat_intervals import Counted, Units, area_interval
from percuss.evaluate.heat_scores import number, ranked
from percuss.evaluate.heat_summary import pooled, stored_cells
from percuss.evaluate.intervals import Clusters, exact, proportion

#: Columns of a table of survival: one row per image, norm and format.
COLUMNS = ("id", "group", "norm", "format", "words", "flips", "clean_right")
#: Of heat maps also: whether the attack flipped the image, its cells (uint8) and scores (float16) as bytes.
HEAT = ("flipped", "shape", "truth", "scores", "scores_clean")


def survival_table(rows: pd.DataFrame, seed: int = 0) -> list[Survival]:
    """One record per norm and format, in the order of the rows.

    Args:
        rows: the columns ``COLUMNS``; ``flips``: the model is wrong on the attacked image after the round trip;
            ``clean_right``: it is right on the clean image after it. Every image was right before the attack and
            wrong after it, in full precision; of heat maps, which have the columns ``HEAT`` too, those that are
            ``flipped``, while the others count for AUC-PR alone.
        seed: of the bootstrap, where patients have several images.

    Intervals are exact (Clopper and Pearson) where no patient has several images, and patient-clustered else.
    """
    found = []
    for (norm, name, words), part in rows.groupby(["norm", "format", "words"], sort=False):
        areas = _areas(part, seed)
        flips = part[part["flipped"].astype(bool)] if "flipped" in part else part
        clusters = Clusters.of([str(group) for group in flips["group"]], seed)
        found.append(
            Survival(
                norm=str(norm),
                format=str(name),
                words=str(words),
                flips=_share(flips["flips"], clusters),
                clean_right=_share(flips["clean_right"], clusters),
                **areas,
            )
        )
    return found


def _areas(part: pd.DataFrame, seed: int) -> dict[str, Interval]:
    """Of heat maps the average precision of all cells after the round trip, attacked and not; else empty."""
    if "scores" not in part:
        return {}
    units = Units.of([str(group) for group in part["group"]], seed)
    truth = [stored_cells(row["truth"], row["shape"], truth=True) for _, row in part.iterrows()]
    found = {}
    for name, column in (("auc_pr", "scores"), ("auc_pr_clean", "scores_clean")):
        scores = [stored_cells(row[column], row["shape"]) for _, row in part.iterrows()]
        maps = list(zip(scores, truth, strict=True))
        value = number(ranked(*pooled(maps)).average_precision())
        found[name] = area_interval(value, Counted.of(maps, units), units)
    return found


def _share(flags: pd.Series[bool], clusters: Clusters) -> Interval:
    values = flags.to_numpy(dtype=bool)
    return proportion(values, clusters) if clusters.known else exact(int(np.sum(values)), len(values))
