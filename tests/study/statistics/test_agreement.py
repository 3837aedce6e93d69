"""Agreement against Gwet's published output, statsmodels, and simulated readers."""

import numpy as np
import pytest
from scipy.stats import norm, t
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

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
    # Wilson's 5 of 5, less the agreement by chance: 0.52 for kappa, 0.48 for AC1.
    low = proportion_confint(5, 5, method="wilson")[0]
    assert same.kappa.low == pytest.approx((low - 0.52) / 0.48) and same.kappa.high == 1
    assert same.ac1.low == pytest.approx((low - 0.48) / 0.52)
    assert "the ratings leave no variance" in same.ac1.method
    assert same.raw.low == pytest.approx(low)
    one = agreement(["a"] * 4, ["a"] * 4, ["a", "b"])
    assert one.kappa.value is None
    assert one.ac1.value == 1
    single = agreement(["a"], ["b"], ["a", "b"])
    assert single.ac1.low == -1 and single.ac1.high < 1
    empty = agreement([], [], ["a", "b"])
    assert empty.raw.value is empty.kappa.value is empty.ac1.value is None


def of_patients(rng, patients, alike):
    """Three items of each patient, of whom some repeat their first: ratings, ratings again, patients."""
    given = []
    for patient in range(patients):
        base = rng.random() < alike
        for item in range(3):
            if not (base and item):
                truth = rng.random() < 0.5
                pair = [truth if rng.random() < 0.9 else not truth for _ in range(2)]
            given.append(("ab"[int(pair[0])], "ab"[int(pair[1])], str(patient)))
    return tuple(map(list, zip(*given, strict=True)))


def test_patients_are_left_out_whole():
    first, second, patients = of_patients(np.random.default_rng(2), 15, 0.5)
    got = agreement(first, second, ["a", "b"], units=patients)
    alone = agreement(first, second, ["a", "b"])
    assert (got.kappa.value, got.ac1.value, got.raw.value) == (alone.kappa.value, alone.ac1.value, alone.raw.value)
    for name in ("kappa", "ac1"):
        left = []
        for gone in set(patients):
            kept = [place for place, patient in enumerate(patients) if patient != gone]
            again = agreement([first[i] for i in kept], [second[i] for i in kept], ["a", "b"])
            left.append(getattr(again, name).value)
        found = getattr(got, name)
        error = np.sqrt(14 / 15 * ((np.array(left) - np.mean(left)) ** 2).sum())
        assert found.value - found.low == pytest.approx(t.ppf(0.975, 14) * error)
        assert found.method == "jackknife over 15 patients"
    assert got.raw.method.startswith("Wilson, 45 items of 15 patients as ")
    assert got.raw.high - got.raw.low > alone.raw.high - alone.raw.low
    # Every item a patient of its own changes nothing.
    assert agreement(first, second, ["a", "b"], units=[str(i) for i in range(45)]) == alone


def test_one_patient_or_one_who_has_all_of_a_class_leaves_no_variance():
    one = agreement(["a", "a", "b"], ["a", "b", "b"], ["a", "b"], units=["p"] * 3)
    assert one.kappa.low < -0.6 and "no variance" in one.kappa.method
    assert one.raw.method == "Wilson, 3 items of 1 patients as 1"
    lost = agreement(["a", "a", "b"], ["a", "a", "b"], ["a", "b"], units=["p", "p", "q"])
    assert "no variance" in lost.kappa.method and lost.kappa.low < lost.kappa.value == 1


def test_coverage_where_patients_have_several_items():
    # Items as if independent would hold 73 to 82 % of the time.
    rng = np.random.default_rng(4)
    first, second, _ = of_patients(rng, 40000, 1.0)
    truth, held = agreement(first, second, ["a", "b"]), np.zeros(3)
    for _ in range(400):
        got = agreement(*of_patients(rng, 25, 1.0)[:2], ["a", "b"], units=[str(i // 3) for i in range(75)])
        for place, name in enumerate(("raw", "kappa", "ac1")):
            found = getattr(got, name)
            held[place] += found.low <= getattr(truth, name).value <= found.high
    assert (held >= 0.91 * 400).all()


def test_more_categories_allowed_change_ac1():
    two, three = (agreement(["a", "a", "b"], ["a", "b", "b"], names) for names in (["a", "b"], ["a", "b", "c"]))
    assert two.kappa.value == three.kappa.value
    assert two.ac1.value < three.ac1.value


def test_refusals():
    with pytest.raises(UsageError, match="two ratings"):
        agreement(["a"], [], ["a", "b"])
    with pytest.raises(UsageError, match="no category: tumor. Allowed: tumour"):
        agreement(["tumor"], ["tumour"], ["tumour", "normal"])
    with pytest.raises(UsageError, match="1 and 1 ratings, 2 units"):
        agreement(["a"], ["a"], ["a", "b"], units=["p", "q"])
    with pytest.raises(UsageError, match="two or more"):
        agreement(["a"], ["a"], ["a"])
