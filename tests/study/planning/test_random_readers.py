"""Power with random readers: its limits, and statsmodels' power of the t test."""

import pytest
from statsmodels.stats.power import TTestPower

from percuss.study.planning.power import paired_power
from percuss.study.planning.random_readers import Crossed, crossed_power


def test_endless_cases_leave_the_readers_as_a_sample_of_means():
    # With cases without end each reader's mean is known: a one-sample t test over the readers.
    crossed, spread = Crossed(7, 0.2, 0.05), (0.2, 0.2)
    got = crossed_power(0.1, spread, alpha=0.025, crossed=crossed, cases=10**8)
    peer = TTestPower().power(0.1 / (0.2 * 0.05) ** 0.5, 7, 0.025, alternative="larger")
    assert got == pytest.approx(peer, abs=1e-4)
    assert crossed.freedom(10**8) == pytest.approx(6, abs=1e-4)
    assert crossed.worth(10**8) == pytest.approx(7 / 0.05, rel=1e-4)


def test_many_alike_readers_come_to_the_normal_formula():
    got = crossed_power(0.1, (0.2, 0.19), alpha=0.025, crossed=Crossed(2000, 0.5, 1e-12), cases=300)
    worth = Crossed(2000, 0.5, 0.0).worth(300)
    assert got == pytest.approx(paired_power(worth, 0.2, 0.1, margin=0.0, alpha=0.025, test="score"), abs=2e-3)


def test_design_effect_by_hand():
    # 100 cases, 3 readers: 300 / (1 + 2 * 0.3 + 99 * 0.01)
    assert Crossed(3, 0.3, 0.01).worth(100) == pytest.approx(300 / 2.59)
