"""Interval of a median whose largest values may be unknown (censored), from the order of the values alone.

R. S. Woodruff, Journal of the American Statistical Association 47 (1952) 635-646: the limits of a share of one half,
exact ones here, read back through the values in order. Where several values are of one unit, as many count as they are
worth (``worth``). Six independent values are the least that bound a median at 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import beta

from percuss.core.results import Interval
from percuss.study.statistics.worth import effective


def median(values: Sequence[float], units: Sequence[str]) -> Interval:
    """The lower median with its 95 % interval.

    Args:
        values: infinite where only known to lie above all others; no value or bound is infinite in the result.
        units: what each is of, such as the patient.
    """
    n = len(values)
    if n == 0:
        return Interval(value=None, low=None, high=None, n=0, method="undefined: no case")
    ends = np.asarray(values, dtype=np.float64)
    middle = float(np.quantile(ends, 0.5, method="inverted_cdf"))
    below: dict[str, list[float]] = {}
    for unit, value in zip(units, ends, strict=True):
        below.setdefault(unit, []).append(float(value <= middle and math.isfinite(value)))
    worth = effective(list(below.values()))
    found = middle if math.isfinite(middle) else None
    # All values on one side of the median have a chance of 2 ** -worth, on either side.
    if 2 ** (1 - worth) > 0.05:
        return Interval(value=found, low=None, high=None, n=n, method="undefined: too few cases to bound a median")
    first, last = (float(np.quantile(ends, end, method="inverted_cdf")) for end in _half(worth))
    low, high = (end if math.isfinite(end) else None for end in (first, last))
    count = f"{n} cases" if len(below) == n else f"{n} cases of {len(below)} patients as {worth:.3g}"
    note = "" if high is not None else "; no upper bound: too many are only known to lie higher"
    if low == high and low is not None:
        note = "; both ends are one value, as fine as values were told apart"
    return Interval(value=found, low=low, high=high, n=n, method=f"Woodruff, order of {count}{note}")


def _half(n: float) -> tuple[float, float]:
    """Exact limits of a share of one half in so many, which need not be whole (Clopper-Pearson)."""
    low = float(beta.ppf(0.025, n / 2, n / 2 + 1))
    return low, 1 - low
