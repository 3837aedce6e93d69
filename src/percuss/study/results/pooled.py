"""Shares and means over answers, with the case (or patient) as what varies by chance, however often it was read.

Where each answer is of another case: Wilson's interval of a share, the bootstrap over cases of a mean. Where cases
were read several times, by several readers or in several copies: the bootstrap over cases; readers are then taken as
they are, and nothing is said of others (``several_readers`` does). Where the cases of a patient are known to belong
together, patients are drawn instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from percuss.core.results import Interval
from percuss.evaluate.intervals import Clusters, mean, proportion, wilson
from percuss.study.results.read import Read, readers_of, units

#: Bootstraps of results are drawn from this, so that the same answers give the same results.
SEED = 20220901


def share(reads: Sequence[Read], flags: Sequence[bool]) -> Interval:
    """Share of the reads with the flag; no value where there is no read."""
    if not reads:
        return none()
    named = units(reads)
    if len(set(named)) == len(named):
        # As proportion() has it, without the draws.
        return wilson(sum(flags), len(flags))
    clusters = Clusters.of(named, SEED)
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


def effective(units: Sequence[Sequence[float]]) -> float:
    """As many independent answers as these, given by unit, are worth.

    All of them divided by their design effect (the variance of their mean over units by that of independent answers),
    less what it costs to estimate that from so few units (E. L. Korn, B. I. Graubard, Survey Methodology 24 (1998)).
    Never more than all answers, and never fewer than units which agree within themselves are worth (L. Kish, Survey
    Sampling (1965), section 11.7); as many as those where the answers leave no variance to tell it from.
    """
    sizes = np.array([len(unit) for unit in units], dtype=np.float64)
    total = float(sizes.sum())
    least = total**2 / float((sizes**2).sum()) if total else 0.0
    if least >= total - 1e-9 or len(units) < 2:
        return least
    values = np.concatenate([np.asarray(unit, dtype=np.float64) for unit in units])
    alone = float(values.var()) / (total - 1)
    if alone <= 1e-12:
        return least
    left = np.array([float(np.sum(unit)) - len(unit) * float(values.mean()) for unit in units])
    together = float((left**2).sum()) / total**2 * len(units) / (len(units) - 1)
    freedom = (float(student.ppf(0.975, total - 1)) / float(student.ppf(0.975, len(units) - 1))) ** 2
    return float(np.clip(total / max(together / alone, 1.0) * freedom, least, total))


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
