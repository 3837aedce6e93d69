"""Shares and means over answers, with the case (or patient) as what varies by chance, however often it was read.

Shares: Wilson's interval with as many answers as these are worth independent ones (all, where each is of another case).
Means: the bootstrap over cases. Of several readers both take readers as they are, and say nothing of others
(``several_readers`` does). Where several cases are known to be of one patient, patients take the place of cases.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from percuss.core.results import Interval
from percuss.evaluate.intervals import Clusters, mean, wilson
from percuss.study.results.read import Read, readers_of, units
from percuss.study.statistics.worth import effective, wilson_bounds

#: Bootstraps of results are drawn from this, so that the same answers give the same results.
SEED = 20220901


def share(reads: Sequence[Read], flags: Sequence[bool]) -> Interval:
    """Share of the reads with the flag; no value where there is no read."""
    if not reads:
        return none()
    by: dict[str, list[float]] = {}
    for name, flag in zip(units(reads), flags, strict=True):
        by.setdefault(name, []).append(float(flag))
    if len(by) == len(reads):
        return wilson(sum(flags), len(flags))
    worth, value = effective(list(by.values())), sum(flags) / len(reads)
    low, high = wilson_bounds(value, worth)
    method = f"Wilson, {len(reads)} answers to {len(by)} {_what(reads)} as {worth:.3g}{_as_they_are(reads)}"
    return Interval(value=value, low=low, high=high, n=len(reads), method=method)


def average(reads: Sequence[Read], values: Sequence[float]) -> Interval:
    """Mean of a value per read; no value where there is no read, no bounds from one case."""
    if not reads:
        return none()
    clusters = Clusters.of(units(reads), SEED)
    found = mean(np.asarray(values, dtype=np.float64), clusters, np.ones(len(reads), dtype=bool))
    if found.low == found.high:
        return found.model_copy(update={"low": None, "high": None, "method": "undefined: all answers alike"})
    text = f"bootstrap over {clusters.count} {_what(reads)}, {len(clusters.draws)} draws{_as_they_are(reads)}"
    return found.model_copy(update={"method": text if "bootstrap" in found.method else found.method})


def clusters_of(names: Sequence[str]) -> Clusters:
    """The units behind some numbers, drawn as all results draw them."""
    return Clusters.of(names, SEED)


def none(why: str = "undefined: no answer") -> Interval:
    """An interval of nothing."""
    return Interval(value=None, low=None, high=None, n=0, method=why)


def _what(reads: Sequence[Read]) -> str:
    return "patients" if any(read.patient for read in reads) else "cases"


def _as_they_are(reads: Sequence[Read]) -> str:
    several = len(readers_of(reads))
    return f"; {several} readers as they are" if several > 1 else ""
