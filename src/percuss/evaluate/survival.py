"""How many flips are left after the attacked images were stored and read back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from percuss.core.results import Interval, Survival
from percuss.evaluate.intervals import Clusters, exact, proportion

#: Columns of a table of survival: one row per image, norm and format.
COLUMNS = ("id", "group", "norm", "format", "words", "flips", "clean_right")


def survival_table(rows: pd.DataFrame, seed: int = 0) -> list[Survival]:
    """One record per norm and format, in the order of the rows.

    Args:
        rows: the columns ``COLUMNS``; ``flips``: the model is wrong on the attacked image after the round trip;
            ``clean_right``: it is right on the clean image after it. Every image was right before the attack and
            wrong after it, in full precision.
        seed: of the bootstrap, where patients have several images.

    Intervals are exact (Clopper and Pearson) where no patient has several images, and patient-clustered else.
    """
    found = []
    for (norm, name), part in rows.groupby(["norm", "format"], sort=False):
        clusters = Clusters.of([str(group) for group in part["group"]], seed)
        found.append(
            Survival(
                norm=str(norm),
                format=str(name),
                words=str(part["words"].iloc[0]),
                flips=_share(part["flips"], clusters),
                clean_right=_share(part["clean_right"], clusters),
            )
        )
    return found


def _share(flags: pd.Series[bool], clusters: Clusters) -> Interval:
    values = flags.to_numpy(dtype=bool)
    return proportion(values, clusters) if clusters.known else exact(int(np.sum(values)), len(values))
