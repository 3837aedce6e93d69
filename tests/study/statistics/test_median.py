"""The interval of a median: ranks of order statistics, censored values, patients, and how often it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from percuss.study.statistics.median import median


def alone(values):
    return median(values, [str(place) for place in range(len(values))])


@pytest.mark.parametrize(("n", "first", "last"), [(6, 1, 6), (10, 2, 9), (20, 6, 15), (40, 14, 27)])
def test_ranks_are_those_of_the_binomial(n: int, first: int, last: int) -> None:
    # The classical table of order statistics: ranks whose exact chance to hold the median is about 95 % or more.
    found = alone([float(place) for place in range(n, 0, -1)])
    assert (found.value, found.low, found.high, found.n) == (math.ceil(n / 2), first, last, n)
    assert binom.cdf(last - 1, n, 0.5) - binom.cdf(first - 1, n, 0.5) >= 0.945
    assert found.method == f"Woodruff, order of {n} cases"


def test_values_that_are_only_known_to_lie_higher() -> None:
    found = alone([1.0] * 4 + [2.0] * 8 + [math.inf] * 8)
    assert (found.value, found.low, found.high) == (2.0, 2.0, None)
    assert found.method.endswith("no upper bound: too many are only known to lie higher")
    never = alone([1.0] * 7 + [math.inf] * 13)
    assert (never.value, never.low, never.high) == (None, 1.0, None)


def test_values_that_are_all_alike_say_so() -> None:
    found = alone([2.0] * 20)
    assert (found.low, found.high) == (2.0, 2.0)
    assert found.method.endswith("both ends are one value, as fine as values were told apart")


def test_few_values_and_few_patients_bound_nothing() -> None:
    for found in (alone([1.0, 2.0, 3.0, 4.0, 5.0]), median([1.0, 2.0] * 10, ["p", "q"] * 10)):
        assert found.value is not None and found.low is None
        assert found.method == "undefined: too few cases to bound a median"
    assert alone([]).value is None
    patients = median([float(place // 4) for place in range(40)], [str(place // 4) for place in range(40)])
    assert (patients.low, patients.high) == (1.0, 8.0) and "40 cases of 10 patients as 10" in patients.method


def test_how_often_it_holds() -> None:
    rng = np.random.default_rng(2)
    found = [alone(rng.exponential(1, 25).tolist()) for _ in range(800)]
    held = [item.low <= math.log(2) <= item.high for item in found]
    assert 0.93 <= np.mean(held) <= 0.99
