"""Audits of the same class maps set against each other: paired differences of the mean Dice, image by image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.comparison import CLEAN, MaskContrast
from percuss.core.errors import RunError
from percuss.evaluate.comparison import Cell, cell_of
from percuss.evaluate.dense_summary import with_quality, worst_rows
from percuss.evaluate.intervals import Clusters, mean

#: Quality of each image at a cell and way of storing, with the budget as it was given.
_Held = dict[tuple[Cell, bool], tuple[str, NDArray[np.float64]]]


def compare_masks(
    tables: Mapping[str, pd.DataFrame], ids: Sequence[str], groups: Sequence[str], *, classes: int, seed: int
) -> list[MaskContrast]:
    """Every pair of runs at each attack (and the worst mask over attacks) and size that all of them tried.

    Args:
        tables: dense.parquet of each run, by its name.
        ids: the images that all runs judged; ``groups`` the patient of each, empty where unknown.
        classes: number of classes with the background.
        seed: of the bootstrap over patients (images where unknown).

    Raises:
        RunError: a table without one of the images, or one of another number of classes.
    """
    clusters, every = Clusters.of(groups, seed), np.ones(len(ids), dtype=bool)
    held = {name: _held(table, ids, classes) for name, table in tables.items()}
    shared = [key for key in next(iter(held.values())) if all(key in other for other in held.values())]
    found = []
    for (attack, norm, eps), stored in shared:
        for one, two in itertools.combinations(held, 2):
            budget, first = held[one][(attack, norm, eps), stored]
            second = held[two][(attack, norm, eps), stored][1]
            size = eps if math.isfinite(eps) else None
            each = [mean(values, clusters, every) for values in (first, second, first - second)]
            if each[2].low == each[2].high:  # a bootstrap without width would claim certainty
                each[2] = each[2].model_copy(update={"low": None, "high": None, "method": "undefined: all alike"})
            found.append(MaskContrast(one, two, attack, norm, budget, size, stored, *each))
    return found


def _held(table: pd.DataFrame, ids: Sequence[str], classes: int) -> _Held:
    judged = with_quality(table[table["id"].isin(set(ids))], classes=classes)
    plain = judged["attack"] == "clean"
    attacked = judged[~plain]
    both = pd.concat([worst_rows(attacked), attacked], ignore_index=True)
    found: _Held = {((CLEAN, "", 0.0), False): ("", _ordered(judged[plain], ids))}
    for (attack, norm, budget, state), part in both.groupby(["attack", "norm", "budget", "state"], sort=False):
        key = cell_of(str(attack), str(norm), float(part["eps"].iloc[0]))
        found[key, state == "stored"] = str(budget), _ordered(part, ids)
    return found


def _ordered(part: pd.DataFrame, ids: Sequence[str]) -> NDArray[np.float64]:
    values = part.set_index("id")["quality"].reindex(list(ids)).to_numpy(dtype=np.float64)
    if np.isnan(values).any():
        raise RunError("rows are missing in the dense table", value=ids[int(np.isnan(values).argmax())])
    return np.asarray(values)
