"""How far two ratings of the same items agree: raw, Cohen's kappa and Gwet's AC1, each with its interval.

Kappa: J. Cohen, Educational and Psychological Measurement 20 (1960) 37-46; its variance: J. L. Fleiss, J. Cohen,
B. S. Everitt, Psychological Bulletin 72 (1969) 323-327. AC1 and its variance: K. L. Gwet, British Journal of
Mathematical and Statistical Psychology 61 (2008) 29-48. Where nearly all items are of one class kappa falls although
the ratings agree, which AC1 does not; that is why all three are given. Items count as independent.

The intervals of kappa and AC1 are their authors', symmetric about the value. In simulated ratings of two classes with
90 % raw agreement AC1's held 90 to 92 % of the time with 40 to 80 items and 95 % with 300: with few items read raw
agreement first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from percuss.core.errors import UsageError, nearest
from percuss.core.results import Interval
from percuss.evaluate.intervals import wilson

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Two ratings of the same items.

    Attributes:
        categories: the answers that were allowed, in the order of the table.
        table: items by first and second rating, ``[categories][categories]``.
        raw: share of items with the same rating twice, with Wilson's interval.
        kappa: Cohen's; in [-1, 1]. No value where both ratings use one category alone; no bounds where all agree.
        ac1: Gwet's; in [-1, 1]. No bounds where all agree.
    """

    categories: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    raw: Interval
    kappa: Interval
    ac1: Interval


def agreement(first: Sequence[str], second: Sequence[str], categories: Sequence[str]) -> Agreement:
    """Agreement of two ratings per item, of one reader twice or of two readers, in the same order.

    Args:
        first, second: one rating for each item; an item without one of them must be left out by the caller.
        categories: every answer that was allowed, used or not, at least two and each once: AC1 depends on how many
            there are, so they are not read off the ratings.

    Raises:
        UsageError: where the numbers of ratings differ, or a rating is no category.
    """
    if len(first) != len(second):
        value = f"{len(first)} and {len(second)} ratings"
        raise UsageError("agreement needs two ratings of every item", value=value)
    if len(categories) < 2 or len(set(categories)) != len(categories):
        raise UsageError("agreement needs its categories", value=list(categories), allowed="two or more, each once")
    places = {name: place for place, name in enumerate(categories)}
    for rating in (*first, *second):
        if rating not in places:
            raise UsageError("the rating is no category", value=rating, allowed=nearest(str(rating), categories))
    counts = np.zeros((len(categories), len(categories)), dtype=np.int64)
    np.add.at(counts, ([places[name] for name in first], [places[name] for name in second]), 1)
    n, same = len(first), int(np.trace(counts))
    table = tuple(tuple(int(cell) for cell in row) for row in counts)
    raw = wilson(same, n)
    if n == 0:
        raw = Interval(value=None, low=None, high=None, n=0, method="undefined: no item")
        return Agreement(tuple(categories), table, raw, raw, raw)
    shares = counts / n
    return Agreement(tuple(categories), table, raw, _kappa(shares, n), _ac1(shares, n))


def _kappa(shares: Floats, n: int) -> Interval:
    rows, columns, observed = shares.sum(axis=1), shares.sum(axis=0), float(np.trace(shares))
    chance = float(rows @ columns)
    # One category in both ratings: nothing could have disagreed by chance.
    if math.isclose(chance, 1.0):
        return Interval(value=None, low=None, high=None, n=n, method="undefined: one category alone was used")
    value = (observed - chance) / (1 - chance)
    spread = rows[None, :] + columns[:, None]
    on = np.diag(shares) * (1 - (rows + columns) * (1 - value)) ** 2
    off = (shares * spread**2).sum() - (np.diag(shares) * np.diag(spread) ** 2).sum()
    left = (value - chance * (1 - value)) ** 2
    variance = float(on.sum() + (1 - value) ** 2 * off - left) / ((1 - chance) ** 2 * n)
    return _around(value, variance, n, float(norm.ppf(0.975)), "Fleiss-Cohen-Everitt")


def _ac1(shares: Floats, n: int) -> Interval:
    observed, count = float(np.trace(shares)), len(shares)
    mean = (shares.sum(axis=0) + shares.sum(axis=1)) / 2
    chance = float((mean * (1 - mean)).sum()) / (count - 1)
    value = (observed - chance) / (1 - chance)
    paired = (shares * (1 - (mean[:, None] + mean[None, :]) / 2) ** 2).sum() / (count - 1) ** 2 - chance**2
    crossed = (np.diag(shares) * (1 - mean)).sum() / (count - 1) - observed * chance
    whole = observed * (1 - observed) - 4 * (1 - value) * crossed + 4 * (1 - value) ** 2 * paired
    # Gwet takes the t distribution with n - 1 degrees of freedom.
    quantile = float(t.ppf(0.975, n - 1)) if n > 1 else math.inf
    return _around(value, float(whole) / (n * (1 - chance) ** 2), n, quantile, "Gwet")


def _around(value: float, variance: float, n: int, quantile: float, method: str) -> Interval:
    # A variance of 0 (every item alike) would claim certainty from however few items.
    if variance <= 1e-12 or not math.isfinite(quantile):
        return Interval(value=value, low=None, high=None, n=n, method="no bounds: the ratings leave no variance")
    half = quantile * math.sqrt(variance)
    return Interval(value=value, low=max(-1.0, value - half), high=min(1.0, value + half), n=n, method=method)
