"""Shares and means over answers, with the case (or patient) as what varies by chance, however often it was read.

Where each answer is of another case: Wilson's interval of a share, the bootstrap over cases of a mean. Where cases
were read several times, by several readers or in several copies: the bootstrap over cases; readers are then taken as
they are, and nothing is said of others (``several_readers`` does). Where the cases of a patient are known to belong
together, patients are drawn instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from percuss.core.results import Interval
from percuss.evaluate.intervals import Clusters, mean, proportion
from percuss.study.results.read import Read, readers_of, units

#: Bootstraps of results are drawn from this, so that the same answers give the same results.
SEED = 20220901


def share(reads: Sequence[Read], flags: Sequence[bool]) -> Interval:
    """Share of the reads with the flag; no value where there is no read."""
    if not reads:
        return none()
    clusters = Clusters.of(units(reads), SEED)
    found = proportion(np.asarray(flags, dtype=bool), clusters)
    return found.model_copy(update={"method": _method(found.method, reads, clusters)})


def average(reads: Sequence[Read], values: Sequence[float]) -> Interval:
    """Mean of a value per read; no value where there is no read, no bounds from one case."""
    if not reads:
        return none()
    clusters = Clusters.of(units(reads), SEED)
    found = mean(np.asarray(values, dtype=np.float64), clusters, np.ones(len(reads), dtype=bool))
    if found.low == found.high:
        return found.model_copy(update={"low": None, "high": None, "method": "undefined: all answers alike"})
    return found.model_copy(update={"method": _method(found.method, reads, clusters)})


def clusters_of(names: Sequence[str]) -> Clusters:
    """The units behind some numbers, drawn as all results draw them."""
    return Clusters.of(names, SEED)


def effective(weights: NDArray[np.float64]) -> float:
    """Cases that unequally often read ones are worth (L. Kish, Survey Sampling (1965), section 11.7)."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0


def none(why: str = "undefined: no answer") -> Interval:
    """An interval of nothing."""
    return Interval(value=None, low=None, high=None, n=0, method=why)


def _method(text: str, reads: Sequence[Read], clusters: Clusters) -> str:
    """The method in a study's words: cases where an audit says images or patients."""
    what = "patients" if any(read.patient for read in reads) else "cases"
    if text.startswith("Wilson over"):
        text = f"Wilson over {clusters.count} {what}"
    elif "bootstrap" in text:
        text = f"bootstrap over {clusters.count} {what}, {len(clusters.draws)} draws"
    several = len(readers_of(reads))
    return f"{text}; {several} readers as they are" if several > 1 else text
