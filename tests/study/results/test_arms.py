"""True positives per copy and arm, shares right, their intervals."""

from __future__ import annotations

import pytest
from tests.study.results.study_answers import ATTACKED, diagnosis, foote, number_of, protocol_of, rated, read_all

from percuss.study.results.arms import arms


def cell(records, **wanted):
    """The one record that has these values."""
    found = [item for item in records if all(getattr(item, name) == value for name, value in wanted.items())]
    assert len(found) == 1, [(item.arm, item.copy_number, item.reader) for item in found]
    return found[0]


def test_foote_table_1b() -> None:
    protocol = protocol_of()
    records = arms(read_all(protocol, foote), protocol)
    table = {
        (copy, arm): cell(records, arm=arm, copy_number=copy, reader="R1").true_positives
        for copy in (1, 2)
        for arm in ("original", ATTACKED)
    }
    assert table == {(1, "original"): 17, (1, ATTACKED): 18, (2, "original"): 18, (2, ATTACKED): 18}


def test_one_copy_of_one_reader_has_wilsons_interval() -> None:
    protocol = protocol_of()
    found = cell(arms(read_all(protocol, foote), protocol), arm="original", copy_number=1, reader="R1")
    # E. B. Wilson: 17 of 20.
    assert (found.right.value, found.right.method, found.right.n) == (0.85, "Wilson", 20)
    assert (found.right.low, found.right.high) == (pytest.approx(0.6396, abs=1e-4), pytest.approx(0.9476, abs=1e-4))
    assert (found.asked, found.answered, found.positives) == (20, 20, 20)


def test_copies_of_a_case_are_no_further_cases() -> None:
    protocol = protocol_of()
    both = cell(arms(read_all(protocol, foote), protocol), arm="original", copy_number=None, reader="R1")
    assert (both.true_positives, both.positives, both.right.value) == (35, 40, 0.875)
    assert both.right.method == "Wilson, 40 answers to 20 cases as 20.5"
    # 40 independent answers would leave a third less.
    assert both.right.high - both.right.low > 0.25


def test_several_readers_and_what_is_missing() -> None:
    protocol = protocol_of(copies=1)
    reads = read_all(protocol, lambda reader, trial, truth: diagnosis("tumour"), readers=("R1", "R2"))[:-5]
    records = arms(reads, protocol)
    short = cell(records, arm=ATTACKED, reader="R2")
    assert (short.asked, short.answered, short.true_positives) == (20, 15, 15)
    everybody = cell(records, arm="original", reader=None)
    assert (everybody.asked, everybody.true_positives) == (40, 40)
    assert everybody.right.method == "Wilson, 40 answers to 20 cases as 20; 2 readers as they are"


def test_classes_apart() -> None:
    protocol = protocol_of(cases=10, negatives=4, copies=1)
    reads = read_all(protocol, lambda reader, trial, truth: diagnosis("tumour" if number_of(trial) < 7 else "normal"))
    found = cell(arms(reads, protocol), arm="original")
    assert (found.true_positives, found.positives, found.right.value) == (6, 6, 0.9)
    assert {label: item.value for label, item in found.per_class.items()} == {"tumour": 1.0, "normal": 0.75}


def test_cases_of_a_patient_belong_together() -> None:
    protocol = protocol_of(copies=1, patients={number: f"p{number // 4}" for number in range(20)})
    found = cell(arms(read_all(protocol, foote), protocol), arm="original")
    assert found.right.method == "Wilson, 20 answers to 5 patients as 5"


def test_ratings_are_neither_right_nor_wrong() -> None:
    protocol = protocol_of(cases=4, tasks=("diagnosis", "manipulation"), copies=1)

    def answer(reader, trial, truth):
        return diagnosis("tumour", 3) if trial.task == "diagnosis" else rated(1 + number_of(trial))

    found = cell(arms(read_all(protocol, answer), protocol), task="manipulation", arm="original")
    assert (found.right, found.true_positives, found.rating.value) == (None, None, 2.5)


def test_a_study_without_an_answer() -> None:
    protocol = protocol_of()
    records = arms([], protocol)
    assert [(item.answered, item.asked, item.right.value) for item in records[:1]] == [(0, 0, None)]
