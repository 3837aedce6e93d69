"""Power of the very analysis that ``percuss study results`` makes of several readers, by simulation.

It takes readers and cases as random whatever was planned, and no interval is narrower than that of as many
independent answers as the answers are worth (``results.decide``, ``results.widening``; sources there). Few readers
leave few degrees of freedom, which no formula here foresees well. A test holds each simulated verdict to the results'
own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from percuss.study.planning.power import Floats, held_to_margin
from percuss.study.planning.simulated_power import Model, Simulated, check_shares, counted, in_parts
from percuss.study.statistics.mrmc import LEAST_ERROR

_SEARCH = 2000
"""Studies drawn for each number of cases that is tried."""
_FARTHEST = 16
"""So many times the cases of a plan are tried, no more."""


def results_power(model: Model, cases: int, readers: int, *, draws: int = 4000, seed: int = 0) -> Simulated:
    """Share of ``draws`` simulated studies in which the results would show what is to be shown.

    Args:
        model: the answers and what is to be shown. Its ``test`` and how readers were planned do not matter.
        cases: 2 or more, each read by every reader.
        readers: 2 or more.
        draws: studies drawn.
        seed: decides all randomness.

    Raises:
        UsageError: the two shares of the model cannot both be had.
    """
    check_shares(model)
    rng = np.random.default_rng(seed)
    hits = sum(int(shown(model, part).sum()) for part in in_parts(model, (draws, cases, readers), rng))
    return counted(hits, draws)


def enough_cases(model: Model, cases: int, readers: int, *, power: float, seed: int = 0) -> int | None:
    """About how many cases, ``cases`` or more, give the results' analysis this power; None beyond 16 times these."""

    def has(number: int) -> bool:
        return results_power(model, number, readers, draws=_SEARCH, seed=seed).power >= power

    low, high = cases, cases
    while not has(high):
        low, high = high, 2 * high
        if high > _FARTHEST * cases:
            return None
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if has(middle) else (middle, high)
    return high


def shown(model: Model, found: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Whether the results of each study show it; ``found`` is ``[draws, cases, readers]``, two of both at least."""
    values = found.astype(np.float64)
    seen = values.mean(axis=(1, 2))
    gap = model.null - seen if model.below else seen - model.null
    error, freedom = _random_readers(values)
    worth = _worth(values)
    if model.test == "binomial":
        spread = np.full(len(seen), model.null * (1 - model.null))
    else:
        spread = held_to_margin((found == 1).mean(axis=(1, 2)), (found == -1).mean(axis=(1, 2)), model.null)
    alone = gap >= float(norm.isf(model.alpha)) * np.sqrt(spread / worth)
    limit = np.where(np.isinf(freedom), norm.isf(model.alpha), t.isf(model.alpha, np.minimum(freedom, 1e9)))
    # Where readings do not vary there is no such interval, and that of independent answers stands alone.
    together = (error < LEAST_ERROR) | (gap >= limit * error)
    return np.asarray((gap > 0) & alone & together)


def _random_readers(values: Floats) -> tuple[Floats, Floats]:
    """Standard error and Hillis' degrees of freedom of each mean, as ``statistics.mrmc.estimate`` has them."""
    _, cases, readers = values.shape
    square = values.mean(axis=1).var(axis=1, ddof=1)
    of_cases = values.sum(axis=2).var(axis=1, ddof=1)
    of_readers = values.var(axis=1, ddof=1).sum(axis=1)
    apart = np.maximum((of_cases - of_readers) / (readers * (readers - 1) * cases), 0.0)
    freedom = np.full(len(values), math.inf)
    some = square > 0
    freedom[some] = (readers - 1) * (1 + readers * apart[some] / square[some]) ** 2
    return np.sqrt(square / readers + apart), freedom


def _worth(values: Floats) -> Floats:
    """Independent answers that those of each study are worth, cases varying (``statistics.worth.effective``)."""
    _, cases, readers = values.shape
    total = cases * readers
    middle = values.mean(axis=(1, 2))
    alone = values.var(axis=(1, 2)) / (total - 1)
    left = values.sum(axis=2) - readers * middle[:, None]
    together = (left**2).sum(axis=1) / total**2 * cases / (cases - 1)
    cost = (float(t.ppf(0.975, total - 1)) / float(t.ppf(0.975, cases - 1))) ** 2
    worth = np.full(len(values), float(cases))
    some = alone > 1e-12
    worth[some] = np.clip(total / np.maximum(together[some] / alone[some], 1.0) * cost, cases, total)
    return worth
