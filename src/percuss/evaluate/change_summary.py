"""Means over images of what changes go with, beside noise, with the paired difference and intervals over slides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from percuss.core.results import Interval, Meaning
from percuss.evaluate.heat_intervals import Units, bounded
from percuss.evaluate.heat_scores import Floats


def meaning_summary(table: pd.DataFrame, *, seed: int) -> list[Meaning]:
    """One record per attack, norm, budget and measure, in the order of the rows.

    The mean of the change, that of the noise, and that of their difference image by image, over the images where both
    are defined; bootstrap over slides (tiles where there is one slide), the same draws for all three.

    Args:
        table: rows of ``percuss.evaluate.change_meaning.meanings``.
        seed: of the bootstrap.
    """
    found = []
    for (attack, norm, budget, measure), part in table.groupby(["attack", "norm", "budget", "measure"], sort=False):
        units = Units.of([str(name) if isinstance(name, str) else "" for name in part["group"]], seed)
        change, noise = (part[side].to_numpy(dtype=np.float64) for side in ("change", "noise"))
        both = np.isfinite(change) & np.isfinite(noise)
        means = [_mean(np.where(both, values, 0.0), both, units) for values in (change, noise, change - noise)]
        found.append(
            Meaning(
                attack=str(attack),
                norm=str(norm),
                budget=str(budget),
                measure=str(measure),
                change=means[0],
                noise=means[1],
                difference=means[2],
            )
        )
    return found


def _mean(values: Floats, kept: np.ndarray[tuple[int], np.dtype[np.bool_]], units: Units) -> Interval:
    n = int(kept.sum())
    if not n:
        return Interval(value=None, low=None, high=None, n=0, method="undefined: no image has a value")
    top, bottom = units.clusters.sums(np.where(kept, values, 0.0)), units.clusters.sums(kept)
    draws = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    found = bounded(float(values[kept].sum() / n), draws, units, ends=(-np.inf, np.inf))
    return found.model_copy(update={"n": n})
