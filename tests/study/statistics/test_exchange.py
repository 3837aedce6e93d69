"""Exchanging the arms of whole units: McNemar's test where each has one answer, all sign changes counted by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as known

from percuss.study.statistics.exchange import exchange_p
from percuss.study.statistics.paired_share import PairedTable, mcnemar


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (7, 1), (5, 5), (12, 3), (40, 22)])
def test_one_answer_for_each_unit_is_mcnemars_test(lost: int, gained: int) -> None:
    changes = [1] * lost + [-1] * gained + [0] * 5
    table = PairedTable(3, lost, gained, 2)
    assert exchange_p(changes) == pytest.approx(mcnemar(table))
    assert exchange_p(changes, mid_p=True) == pytest.approx(mcnemar(table, mid_p=True))
    if lost + gained:
        assert exchange_p(changes) == pytest.approx(known([[3, lost], [gained, 2]], exact=True).pvalue)


@pytest.mark.parametrize("seed", range(4))
def test_all_sign_changes_are_counted(seed: int) -> None:
    changes = np.random.default_rng(seed).integers(-3, 5, 9).tolist()
    sums = [abs(sum(sign * size for sign, size in zip(signs, changes, strict=True)))
            for signs in product((1, -1), repeat=9)]  # fmt: skip
    seen = abs(sum(changes))
    assert exchange_p(changes) == pytest.approx(np.mean([total >= seen for total in sums]))
    half = np.mean([(total > seen) + (total == seen) / 2 for total in sums])
    assert exchange_p(changes, mid_p=True) == pytest.approx(half if seen else 1.0)


def test_patients_who_change_as_one_are_one() -> None:
    # Four cases of each of three patients, all lost: three independent changes, not twelve.
    assert exchange_p([4, 4, 4]) == pytest.approx(0.25)
    assert exchange_p([1] * 12) == pytest.approx(2 / 2**12)
    assert exchange_p(iter([2, -2])) == 1.0
