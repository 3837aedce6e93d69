"""Agreement of readers with themselves and with each other."""

from __future__ import annotations

import pytest
from tests.study.results.study_answers import ATTACKED, diagnosis, foote, number_of, protocol_of, read_all

from percuss.study.results.agreement import agreements
from percuss.study.statistics.agreement import agreement


def one(records, **wanted):
    found = [item for item in records if all(getattr(item, name) == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def test_one_reader_over_two_copies() -> None:
    protocol = protocol_of()
    records = agreements(read_all(protocol, foote), protocol)
    assert [item.kind for item in records] == ["within", "within"]
    found = one(records, arm="original")
    # Case 2 was missed in the first copy alone, cases 0 and 1 in both.
    assert (found.table, found.items, found.readers, found.copies) == ([[17, 0], [1, 2]], 20, ["R1"], [1, 2])
    first, second = ["tumour"] * 17 + ["normal"] * 3, ["tumour"] * 17 + ["tumour"] + ["normal"] * 2
    known = agreement(first, second, ("tumour", "normal"))
    assert (found.raw, found.kappa, found.ac1) == (known.raw, known.kappa, known.ac1)
    assert found.raw.value == pytest.approx(0.95)


def test_cases_without_both_answers_are_no_items() -> None:
    protocol = protocol_of()
    reads = [
        read for read in read_all(protocol, foote) if not (number_of(read.trial) < 3 and read.trial.copy_number == 2)
    ]
    assert [item.items for item in agreements(reads, protocol)] == [17, 17]
    assert agreements([], protocol) == []


def test_readers_with_each_other() -> None:
    protocol = protocol_of(cases=10, copies=1)
    missed = {"R1": {0}, "R2": {0, 1}, "R3": {9}}

    def answer(reader, trial, truth):
        return diagnosis("normal" if number_of(trial) in missed[reader] else "tumour")

    records = agreements(read_all(protocol, answer, tuple(missed)), protocol)
    assert one(records, arm=ATTACKED, readers=["R1", "R2"]).raw.value == pytest.approx(0.9)
    assert one(records, arm=ATTACKED, readers=["R2", "R3"]).raw.value == pytest.approx(0.7)
    mean = one(records, arm=ATTACKED, kind="all pairs")
    # 9, 8 and 7 of 10 alike.
    assert (mean.raw.value, mean.items, mean.kappa) == (pytest.approx(0.8), 10, None)
    assert mean.raw.method == "Wilson, 30 answers to 10 cases as 13; readers as they are"
