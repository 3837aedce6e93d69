"""The psychometric curve against statsmodels and scipy, at its edges, and against simulated readers."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import brentq, minimize
from scipy.stats import binom

from percuss.core.errors import UsageError
from percuss.study.statistics.psychometric import Answers, psychometric

SIZES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


def true_share(eps, place, slope, lapse=0.0):
    """A Weibull curve of a two-alternatives task whose threshold at 75 % is ``place``, written out anew."""
    at = -math.log(1 - 0.25 / (0.5 - lapse))
    return 0.5 + (0.5 - lapse) * (1 - np.exp(-at * (np.asarray(eps) / place) ** slope))


def drawn(rng, place, slope, trials=40, lapse=0.0):
    right = rng.binomial(trials, true_share(SIZES, place, slope, lapse))
    return Answers(SIZES, tuple(map(int, right)), (trials,) * len(SIZES))


def test_logistic_without_guessing_equals_statsmodels():
    eps, right, trials = (1.0, 2.0, 4.0, 8.0, 16.0), (2, 6, 15, 24, 29), (30,) * 5
    got = psychometric(Answers(eps, right, trials, guess=0.0), shape="logistic", target=0.5, most_lapses=0)
    design = sm.add_constant(np.log(eps))
    table = np.c_[right, np.subtract(trials, right)]
    fit = sm.GLM(table, design, family=sm.families.Binomial()).fit()
    assert got.threshold.value == pytest.approx(math.exp(-fit.params[0] / fit.params[1]), rel=1e-4)
    assert got.fitted[1] == pytest.approx(fit.params[1], rel=1e-4)
    assert got.share(eps) == pytest.approx(fit.predict(design), abs=1e-5)


def test_weibull_and_its_profile_equal_scipys():
    answers = Answers(SIZES, (19, 22, 24, 33, 38, 40), (40,) * 6)
    got = psychometric(answers, most_lapses=0)

    def loss(place, slope):
        share = true_share(answers.eps, place, slope)
        return -binom.logpmf(answers.right, answers.trials, np.minimum(share, 1 - 1e-15)).sum()

    fit = minimize(
        lambda x: loss(*np.exp(x)), [0.5, 0.5], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}
    )
    assert got.fitted[:2] == pytest.approx(np.exp(fit.x), rel=1e-4)

    def above(place):
        best = minimize(lambda x: loss(place, math.exp(x[0])), fit.x[1:], method="Nelder-Mead").fun
        return best - fit.fun - 1.920729

    ends = brentq(above, 0.3, got.threshold.value), brentq(above, got.threshold.value, 6)
    assert (got.threshold.low, got.threshold.high) == pytest.approx(ends, rel=0.005)


@pytest.mark.parametrize("shape", ["weibull", "logistic"])
def test_the_curve_meets_its_target_and_the_guess_rate(shape):
    got = psychometric(Answers(SIZES, (20, 21, 26, 34, 39, 39), (40,) * 6), shape=shape)
    assert got.status == "found"
    assert got.share([0.0, got.threshold.value]) == pytest.approx([0.5, 0.75])
    assert got.threshold.low < got.threshold.value < got.threshold.high
    assert 0 <= got.fitted[2] <= 0.06


def test_recovers_and_covers():
    rng = np.random.default_rng(6)
    found = [psychometric(drawn(rng, 1.7, 2.0, lapse=0.03)) for _ in range(120)]
    assert {item.status for item in found} == {"found"}
    assert np.median([item.threshold.value for item in found]) == pytest.approx(1.7, rel=0.06)
    held = [(item.threshold.low or 0) <= 1.7 <= (item.threshold.high or math.inf) for item in found]
    assert 0.9 <= np.mean(held) <= 0.99


def test_readers_who_see_nothing_have_a_threshold_above_all_sizes():
    got = psychometric(Answers(SIZES, (20, 19, 21, 20, 22, 20), (40,) * 6))
    assert got.status == "above"
    assert got.threshold.value is got.threshold.high is None
    assert got.threshold.low >= 8


def test_readers_who_see_everything_have_one_below():
    got = psychometric(Answers(SIZES[1:], (40,) * 5, (40,) * 5))
    assert got.status == "below"
    assert got.threshold.value is got.threshold.low is None
    assert got.threshold.high <= 0.5


def test_few_answers_leave_it_undetermined():
    got = psychometric(Answers((1.0, 2.0), (1, 2), (2, 3)))
    assert got.status == "undetermined"
    assert got.threshold.value is None


def test_a_step_says_that_its_slope_is_no_finding():
    got = psychometric(Answers(SIZES, (20, 20, 20, 40, 40, 40), (40,) * 6))
    assert got.slope_at_end
    assert 1 <= got.threshold.low < got.threshold.value < got.threshold.high <= 2


def test_lapses_do_not_pull_the_threshold():
    honest, lapsing = (20, 22, 28, 37, 40, 40), (20, 22, 28, 36, 38, 38)
    with_cap = [psychometric(Answers(SIZES, right, (40,) * 6)).threshold.value for right in (honest, lapsing)]
    without = [
        psychometric(Answers(SIZES, right, (40,) * 6), most_lapses=0).threshold.value for right in (honest, lapsing)
    ]
    assert abs(with_cap[1] / with_cap[0] - 1) < abs(without[1] / without[0] - 1)


@pytest.mark.parametrize(
    ("eps", "right", "trials", "guess", "text"),
    [
        ((1.0, 2.0), (1,), (2, 2), 0.5, "differ in number"),
        ((1.0, -2.0), (1, 1), (2, 2), 0.5, "size of change"),
        ((1.0, 1.0), (1, 1), (2, 2), 0.5, "each once"),
        ((0.0, 1.0), (1, 1), (2, 2), 0.5, "too few sizes"),
        ((1.0, 2.0), (1, 3), (2, 2), 0.5, "more right answers"),
        ((1.0, 2.0), (1, 1), (2, 2), 1.0, "guess rate"),
    ],
)
def test_refusals_of_answers(eps, right, trials, guess, text):
    with pytest.raises(UsageError, match=text):
        Answers(eps, right, trials, guess)


@pytest.mark.parametrize("option", [{"shape": "probit"}, {"target": 0.5}, {"target": 0.95}, {"most_lapses": 0.3}])
def test_refusals_of_options(option):
    with pytest.raises(UsageError, match="Allowed"):
        psychometric(Answers(SIZES, (20, 21, 26, 34, 39, 39), (40,) * 6), **option)
