"""A threshold's interval over cases: wider where cases differ, never narrower than the profile likelihood."""

from __future__ import annotations

import numpy as np
import pytest

from percuss.core.errors import UsageError
from percuss.study.statistics.psychometric import Answers, psychometric
from percuss.study.statistics.psychometric_cases import over_cases

EPS = (1.0, 2.0, 4.0, 8.0)


def fitted(right, trials):
    answers = Answers(EPS, tuple(int(k) for k in right.sum(axis=0)), tuple(int(n) for n in trials.sum(axis=0)))
    return psychometric(answers), answers


def test_cases_that_differ_widen_the_interval() -> None:
    # Half of the cases are seen from 2 on, half never before 8: each answered six times at each size.
    easy, hard = [3.0, 6, 6, 6], [3.0, 3, 3, 6]
    right = np.array([easy] * 8 + [hard] * 8)
    trials = np.full(right.shape, 6.0)
    curve, answers = fitted(right, trials)
    wide = over_cases(curve, answers, (right, trials))
    assert wide.threshold.value == curve.threshold.value
    assert wide.threshold.high - wide.threshold.low > 1.3 * (curve.threshold.high - curve.threshold.low)
    assert wide.threshold.method.startswith("wider of profile likelihood and bootstrap over 16 cases")


def test_cases_all_alike_leave_the_profile_likelihood() -> None:
    right, trials = np.array([[3.0, 4, 5, 6]] * 10), np.full((10, 4), 6.0)
    curve, answers = fitted(right, trials)
    same = over_cases(curve, answers, (right, trials))
    assert (same.threshold.low, same.threshold.high) == (curve.threshold.low, curve.threshold.high)
    assert over_cases(curve, answers, (right.sum(axis=0)[None], trials.sum(axis=0)[None])) == curve


def test_it_holds_the_true_threshold_of_cases_that_differ() -> None:
    """40 studies of 20 cases whose own thresholds spread: profile likelihood alone held 88 % of 200 such studies."""
    rng = np.random.default_rng(5)
    # Share right of the whole population of cases at each size; it meets 75 % at 2.99.
    held = 0
    for _ in range(40):
        own = np.exp(rng.normal(np.log(3), 0.6, 20))
        chance = 0.5 + 0.48 * (1 - 0.5 ** ((np.array(EPS)[None] / own[:, None]) ** 2))
        trials = np.full(chance.shape, 2.0)
        right = rng.binomial(2, chance).astype(float)
        curve, answers = fitted(right, trials)
        found = over_cases(curve, answers, (right, trials), draws=100).threshold
        held += (found.low is None or found.low <= 2.99) and (found.high is None or found.high >= 2.99)
    assert held >= 35


def test_answers_of_other_cases_are_refused() -> None:
    right, trials = np.array([[3.0, 4, 5, 6]] * 10), np.full((10, 4), 6.0)
    curve, answers = fitted(right, trials)
    with pytest.raises(UsageError, match="not those of the curve"):
        over_cases(curve, answers, (right[:-1], trials[:-1]))


def test_draws_without_any_case_that_is_seen_leave_the_upper_end_open() -> None:
    # Two cases are seen from 2 on, two never: one draw in sixteen has the latter alone.
    right = np.array([[20.0, 40, 40, 40]] * 2 + [[20.0, 20, 20, 20]] * 2)
    trials = np.full(right.shape, 40.0)
    curve, answers = fitted(right, trials)
    assert over_cases(curve, answers, (right, trials)).threshold.high is None
