"""Paired differences against published worked examples and statsmodels, and the coverage of both intervals."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from percuss.core.errors import UsageError
from percuss.core.results import Interval
from percuss.study.planning.power import score_upper
from percuss.study.statistics.paired_share import PairedTable, mcnemar, newcombe, non_inferiority, tango

BENTUR, CAVO = PairedTable(1, 1, 7, 12), PairedTable(59, 6, 16, 80)


@pytest.mark.parametrize(
    ("table", "low", "high", "digits"),
    [
        # M. W. Fagerland, S. Lydersen, P. Laake, Statistics in Medicine 33 (2014) 2850-2875.
        (BENTUR, -0.517, -0.026, 3),
        # As the R package contingencytables (of the same authors) gives it.
        (CAVO, -0.1240, -0.0054, 4),
        # A. Agresti, Y. Min (2005), as the R package ratesci checks it.
        (PairedTable(53, 16, 8, 9), -0.020, 0.207, 3),
    ],
)
def test_tango_as_published(table, low, high, digits):
    got = tango(table)
    assert (round(got.low, digits), round(got.high, digits)) == (low, high)
    assert got.value == pytest.approx((table.first_only - table.second_only) / table.n)


def test_tango_gives_the_worked_example_of_its_paper():
    # Tango (1998), section 6.1: soft contact lenses, lower 90 % limit -0.096 against a margin of 0.1.
    got = tango(PairedTable(43, 0, 1, 0), confidence=0.9)
    assert round(got.low, 3) == -0.096
    assert "90 %" in got.method


@pytest.mark.parametrize(
    ("table", "low", "high", "digits"),
    [
        (PairedTable(20, 12, 2, 16), 0.0562, 0.3292, 4),  # Newcombe (1998), method 10
        (BENTUR, -0.507, -0.026, 3),  # Fagerland et al. (2014)
        (CAVO, -0.1186, -0.0046, 4),  # contingencytables
        (PairedTable(8, 3, 1, 2), -0.1574, 0.4136, 4),  # M. L. Tang et al. (2010), as ratesci checks it
    ],
)
def test_newcombe_as_published(table, low, high, digits):
    got = newcombe(table)
    assert (round(got.low, digits), round(got.high, digits)) == (low, high)


def test_twenty_cases_without_a_change_leave_sixteen_points_open():
    got = tango(PairedTable(20, 0, 0, 0))
    z2 = 1.959964**2
    assert (got.low, got.high) == pytest.approx((-z2 / (20 + z2), z2 / (20 + z2)), abs=1e-6)


@pytest.mark.parametrize("method", [tango, newcombe])
def test_intervals_mirror_and_stay_in_range(method):
    rng = np.random.default_rng(1)
    cells = [(0, 5, 0, 0), (0, 0, 5, 0), (1, 0, 0, 0), (0, 0, 0, 7), *rng.integers(0, 15, (60, 4)).tolist()]
    for a, b, c, d in cells:
        got, other = method(PairedTable(a, b, c, d)), method(PairedTable(d, c, b, a))
        assert -1 <= got.low <= got.value <= got.high <= 1
        assert got.low < got.high
        assert (got.low, got.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


@pytest.mark.parametrize(("method", "least"), [(tango, 0.93), (newcombe, 0.93)])
def test_coverage_near_95_percent(method, least):
    rng, shares = np.random.default_rng(2), [0.75, 0.1, 0.05, 0.1]
    tables = rng.multinomial(40, shares, size=1500)
    covered = [(found := method(PairedTable(*map(int, row)))).low <= 0.05 <= found.high for row in tables]
    assert least <= np.mean(covered) <= 0.985


@pytest.mark.parametrize("cells", [(20, 12, 3, 5), (0, 1, 0, 0), (5, 0, 0, 5), (1, 7, 7, 1), (1, 1, 7, 12)])
def test_mcnemar_equals_statsmodels(cells):
    a, b, c, d = cells
    expected = statsmodels_mcnemar([[a, b], [c, d]], exact=True).pvalue
    assert mcnemar(PairedTable(*cells)) == pytest.approx(expected)


def test_mid_p_as_published():
    # Fagerland, Lydersen, Laake (2013): 0.039 beside an exact 0.070; the second from contingencytables.
    assert mcnemar(BENTUR, mid_p=True) == pytest.approx(0.0390625)
    assert mcnemar(CAVO, mid_p=True) == pytest.approx(0.034690, abs=1e-6)
    assert mcnemar(PairedTable(4, 0, 0, 2), mid_p=True) == 1.0


def test_non_inferiority_reads_the_bound():
    fine = tango(PairedTable(190, 3, 5, 2))
    assert non_inferiority(fine, 0.1).verdict == "non-inferior"
    assert non_inferiority(fine, 0.1).bound == fine.high
    assert non_inferiority(tango(PairedTable(18, 0, 0, 2)), 0.1).verdict == "not shown"
    assert non_inferiority(tango(PairedTable(50, 40, 0, 10)), 0.1).verdict == "inferior"
    assert non_inferiority(Interval(value=0, low=-0.1, high=0.1, n=9, method=""), 0.1).verdict == "not shown"
    assert non_inferiority(tango(PairedTable(0, 0, 0, 0)), 0.1).verdict == "not shown"


def test_no_case_gives_no_value():
    empty = PairedTable(0, 0, 0, 0)
    assert tango(empty).value is newcombe(empty).low is None


def test_table_of_flags_and_refusals():
    one, two = np.array([True, True, False, False, True]), np.array([True, False, True, False, True])
    assert PairedTable.of(one, two) == PairedTable(2, 1, 1, 1)
    with pytest.raises(UsageError, match="same cases"):
        PairedTable.of(one, two[:3])
    with pytest.raises(UsageError, match="counts"):
        PairedTable(1, -1, 0, 0)
    with pytest.raises(UsageError, match="margin"):
        non_inferiority(tango(BENTUR), 5)
    with pytest.raises(UsageError, match="confidence"):
        tango(BENTUR, confidence=95)


@pytest.mark.parametrize(("harmful", "helpful", "pairs"), [(0, 0, 20), (1, 0, 20), (3, 1, 20), (2, 5, 60), (12, 2, 50)])
def test_the_planners_bound_is_the_upper_end_of_tango(harmful, helpful, pairs):
    table = PairedTable(pairs - harmful - helpful, harmful, helpful, 0)
    assert score_upper(harmful, helpful, pairs) == pytest.approx(tango(table).high, abs=1e-6)
