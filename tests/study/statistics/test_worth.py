"""What answers are worth that depend on each other."""

from __future__ import annotations

import pytest
from statsmodels.stats.proportion import proportion_confint

from percuss.study.statistics.worth import effective, wilson_bounds


def test_answers_of_a_case_are_worth_what_they_vary() -> None:
    # All alike within their case: no more than the cases.
    assert effective([[1.0, 1.0]] * 6 + [[0.0, 0.0]] * 14) == pytest.approx(20)
    # Nothing varies, so nothing tells: no more than the cases, unequally read ones less.
    assert effective([[1.0, 1.0]] * 20) == pytest.approx(20)
    assert effective([[1.0] * 4] + [[1.0]] * 4) == pytest.approx(64 / 20)
    # Independent within their case: nearly all of them, and all where each case has one.
    assert effective([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]] * 10) == pytest.approx(76.49, abs=0.01)
    assert effective([[1.0], [0.0], [0.0]]) == pytest.approx(3)


def test_wilsons_limits() -> None:
    assert wilson_bounds(0.85, 20) == pytest.approx(proportion_confint(17, 20, method="wilson"))
    assert wilson_bounds(1.0, 7.5)[1] == 1.0
