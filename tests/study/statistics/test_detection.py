"""d' against tables, statsmodels' probit and simulated readers."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from percuss.core.errors import UsageError
from percuss.study.statistics.detection import same_different, two_alternatives, yes_no


@pytest.mark.parametrize(
    ("share", "dprime"),
    [(55, 0.18), (60, 0.36), (65, 0.54), (70, 0.74), (75, 0.95), (80, 1.19), (90, 1.81), (95, 2.33)],
)
def test_two_alternatives_as_tabled(share, dprime):
    # Macmillan and Creelman (2005), table A5.2 of forced choice between two.
    assert round(two_alternatives(share, 100)[1].value, 2) == dprime


def test_two_alternatives_carry_wilson_over():
    share, dprime = two_alternatives(33, 40)
    assert (share.low, share.high) == pytest.approx(proportion_confint(33, 40, method="wilson"))
    assert (dprime.low, dprime.high) == pytest.approx([math.sqrt(2) * norm.ppf(x) for x in (share.low, share.high)])


def test_all_right_has_a_lower_bound_alone():
    dprime = two_alternatives(20, 20)[1]
    assert dprime.value is dprime.high is None
    assert dprime.low == pytest.approx(math.sqrt(2) * norm.ppf(20 / (20 + 1.959964**2)), abs=1e-6)
    assert two_alternatives(0, 20)[1].low is None
    assert two_alternatives(0, 0)[1].value is None


@pytest.mark.parametrize("cells", [(20, 25, 10, 25), (69, 100, 31, 100), (30, 30, 0, 60), (5, 40, 9, 11)])
def test_yes_no_equals_probit_regression(cells):
    hits, changed, alarms, unchanged = cells
    rates = np.array([(hits + 0.5) / (changed + 1), (alarms + 0.5) / (unchanged + 1)])
    # Each kind in two unequal halves of the same mean: statsmodels refuses a fit without a remainder.
    rates = np.concatenate([rates - 0.003, rates + 0.003])
    trials = np.tile([changed / 2, unchanged / 2], 2)
    family = sm.families.Binomial(sm.families.links.Probit())
    design = sm.add_constant(np.array([1.0, 0.0, 1.0, 0.0]))
    fit = sm.GLM(np.c_[rates * trials, (1 - rates) * trials], design, family=family).fit()
    got = yes_no(hits, changed, alarms=alarms, unchanged=unchanged)
    assert got.dprime.value == pytest.approx(fit.params[1], abs=1e-6)
    assert (got.dprime.high - got.dprime.value) / 1.959964 == pytest.approx(fit.bse[1], rel=1e-4)
    assert got.correct.value == (hits + unchanged - alarms) / (changed + unchanged)


def test_an_unbiased_reader_at_the_tabled_rates():
    # z(0.69) - z(0.31) is 0.992, the rates being nearly those of d' = 1; the correction hardly counts here.
    got = yes_no(69_000, 100_000, alarms=31_000, unchanged=100_000)
    assert got.dprime.value == pytest.approx(0.992, abs=1e-3)
    assert got.criterion.value == pytest.approx(0, abs=1e-9)
    assert yes_no(10, 40, alarms=2, unchanged=40).criterion.value > 0


@pytest.mark.parametrize(("dprime", "bias"), [(0.0, 0.0), (1.0, 0.3), (2.5, -0.2)])
def test_yes_no_recovers_and_covers(dprime, bias):
    rng = np.random.default_rng(4)
    hits = rng.binomial(60, norm.cdf(dprime / 2 - bias), 800)
    alarms = rng.binomial(60, norm.cdf(-dprime / 2 - bias), 800)
    found = [yes_no(int(h), 60, alarms=int(a), unchanged=60) for h, a in zip(hits, alarms, strict=True)]
    assert np.mean([item.dprime.value for item in found]) == pytest.approx(dprime, abs=0.05)
    assert np.mean([item.criterion.value for item in found]) == pytest.approx(bias, abs=0.03)
    assert 0.92 <= np.mean([item.dprime.low <= dprime <= item.dprime.high for item in found]) <= 0.985


def test_same_different_at_exact_rates():
    # The rates of d' = 2 with a criterion of 1.5, from the definition by numerical integration of the difference.
    grid = np.linspace(-15, 15, 300_001)
    apart = np.abs(grid) > 1.5
    rates = [np.trapezoid(norm.pdf(grid, mean, math.sqrt(2)) * apart, grid) for mean in (2.0, 0.0)]
    got = same_different(round(rates[0] * 1e6), 1_000_000, alarms=round(rates[1] * 1e6), same=1_000_000)
    assert got.value == pytest.approx(2.0, abs=2e-3)
    assert got.low < 2 < got.high


def test_same_different_recovers_and_covers():
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 1, (2, 150, 80)), rng.normal(0, 1, (2, 150, 80))
    second[0] += 1.8
    called = (np.abs(first - second) > 1.6).sum(axis=2)
    found = [same_different(int(h), 80, alarms=int(a), same=80) for h, a in called.T]
    assert np.median([item.value for item in found]) == pytest.approx(1.8, abs=0.1)
    assert 0.9 <= np.mean([item.low <= 1.8 <= (item.high or math.inf) for item in found]) <= 0.99


def test_same_different_at_its_ends():
    blind = same_different(10, 40, alarms=20, same=40)
    assert blind.value == blind.low == 0
    assert blind.high > 0
    sharp = same_different(40, 40, alarms=0, same=40)
    assert sharp.value is sharp.high is None
    assert sharp.low > 2
    assert same_different(0, 0, alarms=1, same=5).value is None
    # A reader who says the same to every pair says nothing of d': 0 would be a claim.
    for called in (0, 40):
        alike = same_different(called, 40, alarms=called, same=40)
        assert (alike.value, alike.low, alike.high) == (None, None, None) and "alike" in alike.method


def test_no_trials_and_refusals():
    lone = yes_no(3, 5, alarms=0, unchanged=0)
    assert lone.dprime.value is None
    assert lone.correct.value == 0.6
    for call in (lambda: two_alternatives(5, 4), lambda: yes_no(-1, 5, alarms=0, unchanged=5)):
        with pytest.raises(UsageError, match="Allowed: 0 to"):
            call()
