"""Shares and means over answers, with the case (or patient) as what varies by chance, however often it was read.

Shares: Wilson's interval with as many answers as these are worth independent ones (all, where each is of another case).
Means: the bootstrap over cases. Of several readers both take readers as they are, and say nothing of others
(``several_readers`` does). Where several cases are known to be of one patient, patients take the place of cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from percuss.core.results import Interval
from percuss.evaluate.intervals import Clusters, mean, wilson
from percuss.study.results.read import Read, readers_of, units

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


def wilson_bounds(share: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's limits of a share in so many answers, which need not be whole."""
    z = float(norm.ppf(0.5 + confidence / 2))
    middle, scale = share + z**2 / (2 * n), 1 + z**2 / n
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding must not push a limit past the share itself.
    return min(share, max(0.0, (middle - half) / scale)), max(share, min(1.0, (middle + half) / scale))


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


def _what(reads: Sequence[Read]) -> str:
    return "patients" if any(read.patient for read in reads) else "cases"


def _as_they_are(reads: Sequence[Read]) -> str:
    several = len(readers_of(reads))
    return f"; {several} readers as they are" if several > 1 else ""
