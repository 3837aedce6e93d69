"""An AUC's score interval: Hanley and McNeil's published error, its defining equation, and how often it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from percuss.core.errors import UsageError
from percuss.study.statistics.auc_score import Pairs, auc_bounds, joined_bounds
from percuss.study.statistics.paired_share import PairedTable, newcombe


def test_hanley_and_mcneils_published_error() -> None:
    # Radiology 143 (1982): 51 abnormal and 58 normal images, an area of 0.893, a standard error of 0.032.
    pairs = Pairs(58, 51)
    assert math.sqrt(pairs.variance(0.893)) == pytest.approx(0.032, abs=0.0005)
    q1, q2 = 0.893 / (2 - 0.893), 2 * 0.893**2 / (1 + 0.893)
    of_equal = Pairs(55, 55)
    near = (0.893 * (1 - 0.893) + 54 * (q1 - 0.893**2) + 54 * (q2 - 0.893**2)) / 55**2
    assert of_equal.variance(0.893) == pytest.approx(near)


@pytest.mark.parametrize("auc", [0.0, 0.2, 0.5, 0.795, 0.999, 1.0])
@pytest.mark.parametrize("sets", [1.0, 4.0])
def test_the_limits_are_where_the_score_is_z(auc: float, sets: float) -> None:
    pairs = Pairs(12, 20, sets)
    low, high = auc_bounds(auc, pairs, confidence=0.9)
    z = norm.ppf(0.95)
    for end in (low, high):
        if 0 < end < 1:
            assert abs(auc - end) == pytest.approx(z * math.sqrt(pairs.variance(end)))
    assert 0 <= low <= auc <= high <= 1 and low < high
    assert (1 - high, 1 - low) == pytest.approx(auc_bounds(1 - auc, pairs, confidence=0.9))


def test_a_perfect_auc_is_no_certainty() -> None:
    low, high = auc_bounds(1.0, Pairs(10, 10))
    assert high == 1.0 and 0.75 < low < 0.85
    assert auc_bounds(1.0, Pairs(10, 10, 4))[0] > low > auc_bounds(1.0, Pairs(5, 10))[0]


def test_joining_is_what_newcombe_does_with_two_shares() -> None:
    table = PairedTable(36, 12, 2, 0)
    shares = (48 / 50, 38 / 50)
    z = norm.ppf(0.975)

    def wilson(share: float) -> tuple[float, float, float]:
        half = z * math.sqrt(share * (1 - share) / 50 + z**2 / 10000)
        middle, scale = share + z**2 / 100, 1 + z**2 / 50
        return share, (middle - half) / scale, (middle + half) / scale

    cross = 36 * 0 - 12 * 2
    phi = cross / math.sqrt(48 * 2 * 38 * 12)
    found = newcombe(table)
    assert joined_bounds(*map(wilson, shares), correlation=phi) == pytest.approx((found.low, found.high))


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="cases of each class"):
        Pairs(0, 5)


def test_how_often_it_holds_near_perfection() -> None:
    rng, shift = np.random.default_rng(5), 2.5
    truth, held = norm.cdf(shift / math.sqrt(2)), 0
    for _ in range(600):
        negative, positive = rng.normal(0, 1, 15), rng.normal(shift, 1, 15)
        low, high = auc_bounds(float((positive[:, None] > negative).mean()), Pairs(15, 15))
        held += low <= truth <= high
    assert 0.93 <= held / 600 <= 1.0
