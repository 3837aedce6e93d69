"""Samples of patients who have several cases: patients are what varies."""

from __future__ import annotations

import numpy as np
import pytest
from tests.study.results.study_answers import ATTACKED, LOSS, diagnosis, number_of, protocol_of, read_all

from percuss.study.results.endpoints import endpoints
from percuss.study.statistics.paired_share import PairedTable, newcombe, tango


def lost_by_two(reader, trial, truth):
    """The attack costs the first eight cases."""
    return diagnosis("normal" if trial.arm == ATTACKED and number_of(trial) < 8 else "tumour")


def of_patients(counts, *, copies=1, endpoint=LOSS):
    """A protocol whose patients have so many cases, in order."""
    names = [f"p{place}" for place, count in enumerate(counts) for _ in range(count)]
    return protocol_of(cases=len(names), copies=copies, endpoints=(endpoint,), patients=dict(enumerate(names)))


def test_tables_of_patients_with_several_cases_count_patients() -> None:
    # Two patients of four cases each lose all of them, eight lose none: two changes, not eight.
    protocol = of_patients([4] * 10)
    found = endpoints(read_all(protocol, lost_by_two), protocol)[0]
    (table,) = found.tables
    assert (table.against_only, table.arm_only, table.difference.n) == (8, 0, 10)
    assert table.mcnemar_exact == pytest.approx(0.5) and table.mcnemar_mid_p == pytest.approx(0.25)
    assert (found.p_value, found.test) == (pytest.approx(0.5), "exact, arms of whole patients exchanged")
    # Answers alike within a patient are worth one for each.
    same = PairedTable(8, 2, 0, 0)
    for given, known in ((table.difference, tango(same)), (table.newcombe, newcombe(same))):
        assert (given.low, given.high) == pytest.approx((known.low, known.high))
        assert given.method == (
            f"{known.method}, 40 cases of 10 patients as 10; p values: arms of whole patients exchanged"
        )
    assert (found.value.low, found.value.high) == pytest.approx((table.difference.low, table.difference.high))


@pytest.mark.parametrize("readers", [("R1",), ("R1", "R2", "R3")])
def test_patients_of_unequal_size_leave_the_number_as_it_is(readers) -> None:
    """The share of answers, whatever the patients' sizes, as the tables have it."""
    protocol = of_patients([6, 1, 1, 1, 2, 1, 3, 1], copies=2)

    def answer(reader, trial, truth):
        lost = (number_of(trial) * 5 + int(reader[1:]) + trial.copy_number) % 7 < 2
        return diagnosis("normal" if trial.arm == ATTACKED and lost else "tumour")

    reads = read_all(protocol, answer, readers)
    (found,) = endpoints(reads, protocol)
    changed = [read for read in reads if read.trial.arm == ATTACKED]
    assert found.value.value == pytest.approx(1 - np.mean([read.right for read in changed]))
    assert all(item.value == pytest.approx(found.value.value) for item in found.beside)
    assert found.value.n == 8 and "patients" in found.value.method + found.test
