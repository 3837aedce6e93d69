"""Agreement against Gwet's published output, statsmodels, and simulated readers."""

import numpy as np
import pytest
from scipy.stats import norm, t
from statsmodels.stats.inter_rater import cohens_kappa

from percuss.core.errors import UsageError
from percuss.study.statistics.agreement import agreement


def ratings(table):
    """Two lists of category names that give the table."""
    first, second = [], []
    for row, line in enumerate(table):
        for column, count in enumerate(line):
            first += [str(row)] * count
            second += [str(column)] * count
    return first, second, [str(place) for place in range(len(table))]


def width(interval, quantile):
    return (interval.high - interval.value) / quantile


def test_the_three_numbers_of_gwets_package():
    # irrCAC's data set cont3x3abstractors with the values its vignette prints.
    table = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
    got = agreement(*ratings(table))
    assert got.table == tuple(map(tuple, table))
    assert got.raw.value == 0.89
    assert got.ac1.value == pytest.approx(0.8493305, abs=1e-7)
    assert width(got.ac1, t.ppf(0.975, 99)) == pytest.approx(0.04321747, abs=1e-8)
    assert (round(got.ac1.low, 3), round(got.ac1.high, 3)) == (0.764, 0.935)
    assert got.kappa.value == pytest.approx(0.7964094, abs=1e-7)
    assert width(got.kappa, norm.ppf(0.975)) == pytest.approx(0.05891072, abs=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_equals_statsmodels(seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 12, (3, 3)) + np.diag(rng.integers(5, 30, 3))
    got, expected = agreement(*ratings(table)).kappa, cohens_kappa(table)
    assert got.value == pytest.approx(expected.kappa)
    assert (got.low, got.high) == pytest.approx((expected.kappa_low, expected.kappa_upp))


def test_kappa_falls_where_one_class_prevails_and_ac1_does_not():
    # A. R. Feinstein, D. V. Cicchetti, Journal of Clinical Epidemiology 43 (1990) 543-549: both agree on 85 of 100.
    even, skewed = agreement(*ratings([[40, 9], [6, 45]])), agreement(*ratings([[80, 10], [5, 5]]))
    assert (round(even.kappa.value, 2), round(skewed.kappa.value, 2)) == (0.70, 0.32)
    assert even.raw.value == skewed.raw.value == 0.85
    assert skewed.ac1.value == pytest.approx(0.81, abs=0.005)


@pytest.mark.parametrize(("n", "least"), [(80, 0.89), (400, 0.93)])
def test_coverage_of_ac1(n, least):
    # Too low for few items, as the module says; nominal for many.
    rng, truth = np.random.default_rng(3), np.array([[0.7, 0.06], [0.04, 0.2]])
    mean = (truth.sum(0) + truth.sum(1)) / 2
    chance = (mean * (1 - mean)).sum()
    value = (np.trace(truth) - chance) / (1 - chance)
    tables = rng.multinomial(n, truth.ravel(), size=800).reshape(-1, 2, 2)
    found = [agreement(*ratings(table)).ac1 for table in tables]
    assert least <= np.mean([item.low <= value <= item.high for item in found]) <= 0.97


def test_no_variance_claims_no_certainty():
    same = agreement(["a"] * 3 + ["b"] * 2, ["a"] * 3 + ["b"] * 2, ["a", "b"])
    assert same.kappa.value == same.ac1.value == 1
    assert same.kappa.low is same.ac1.low is None
    assert same.raw.low < 1
    one = agreement(["a"] * 4, ["a"] * 4, ["a", "b"])
    assert one.kappa.value is None
    assert one.ac1.value == 1
    single = agreement(["a"], ["b"], ["a", "b"])
    assert single.ac1.low is None
    empty = agreement([], [], ["a", "b"])
    assert empty.raw.value is empty.kappa.value is empty.ac1.value is None


def test_more_categories_allowed_change_ac1():
    two, three = (agreement(["a", "a", "b"], ["a", "b", "b"], names) for names in (["a", "b"], ["a", "b", "c"]))
    assert two.kappa.value == three.kappa.value
    assert two.ac1.value < three.ac1.value


def test_refusals():
    with pytest.raises(UsageError, match="two ratings"):
        agreement(["a"], [], ["a", "b"])
    with pytest.raises(UsageError, match="no category: tumor. Allowed: tumour"):
        agreement(["tumor"], ["tumour"], ["tumour", "normal"])
    with pytest.raises(UsageError, match="two or more"):
        agreement(["a"], ["a"], ["a"])
