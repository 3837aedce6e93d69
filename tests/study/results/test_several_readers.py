"""Readers and cases random: the same numbers as the statistics give from the table, or what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.study.results.study_answers import ATTACKED, diagnosis, number_of, protocol_of, read_all, same
from tests.study.van_dyke import van_dyke

from percuss.study.results.several_readers import several_readers
from percuss.study.statistics.mrmc import difference
from percuss.study.statistics.mrmc_anova import obuchowski_rockette
from percuss.study.statistics.mrmc_table import Readings


def answer(reader, trial, truth):
    """Confidences that spread over readers, cases and arms."""
    place, shift = number_of(trial), int(reader[1:])
    wrong = (place * 7 + shift * 3 + (trial.arm == ATTACKED) * 5 + trial.copy_number) % 9 == 0
    label = {"tumour": "normal", "normal": "tumour"}[truth] if wrong else truth
    return diagnosis(label, 1 + (place + shift + trial.copy_number) % 5)


def table(reads, copy, auc):
    rows = [
        {
            "reader": read.reader,
            "case": read.trial.case,
            "arm": read.trial.arm,
            "score": (1 if read.answer.label == "tumour" else -1) * read.answer.confidence if auc else int(read.right),
            "truth": int(read.truth == "tumour"),
        }
        for read in reads
        if read.trial.copy_number == copy
    ]
    return Readings.of(pd.DataFrame(rows))


def test_one_copy_is_the_published_statistic() -> None:
    protocol = protocol_of(cases=24, negatives=10, copies=1)
    reads = read_all(protocol, answer, ("R1", "R2", "R3"))
    for found, auc in zip(several_readers(reads, protocol), (False, True), strict=True):
        known = table(reads, 1, auc)
        measure = "auc" if auc else "share"
        plain = difference(known, "original", ATTACKED, measure=measure)
        assert (found.measure, found.missing, found.readers, found.cases) == (measure, "", 3, 24)
        assert found.difference.value == pytest.approx(plain.interval.value)
        square = obuchowski_rockette(known, "original", ATTACKED, measure=measure)
        if auc:
            assert (found.difference.low, found.p_value) == pytest.approx((plain.interval.low, plain.p_value))
            assert found.obuchowski_rockette == square.difference
        else:
            # No reader lost or gained more than another, and there is no variance: Tango's interval over cases.
            assert plain.interval.low is None
            assert found.difference.method.startswith("Tango score, paired, 72 answers to 24 cases as ")
            assert (found.obuchowski_rockette, found.p_value) == (found.difference, 1.0)
        assert list(found.per_reader) == ["R1", "R2", "R3"]
        for name, value in found.per_reader.items():
            own = found.each_reader[name]
            assert own.value == pytest.approx(value) and own.low < value < own.high
            assert own.method.startswith("one reader, cases random" if auc else "Tango score, paired")


def test_copies_are_averaged_and_keep_the_number_of_cases() -> None:
    protocol = protocol_of(cases=24, negatives=10)
    reads = read_all(protocol, answer, ("R1", "R2", "R3"))
    both = several_readers(reads, protocol)[1]
    apart = [difference(table(reads, copy, True), "original", ATTACKED, measure="auc") for copy in (1, 2)]
    assert both.difference.value == pytest.approx(sum(item.interval.value for item in apart) / 2)
    assert both.difference.n == apart[0].interval.n == 24


def test_the_order_of_reading_changes_nothing() -> None:
    """Every reader has an order of their own, and another in each copy."""
    protocol = protocol_of(cases=24, negatives=10)
    reads = read_all(protocol, answer, ("R1", "R2", "R3"))
    mixed = [reads[place] for place in np.random.default_rng(1).permutation(len(reads))]
    plain, other = (several_readers(item, protocol) for item in (reads, mixed))
    for one, two in zip(plain, other, strict=True):
        for name in ("arm_value", "difference", "obuchowski_rockette"):
            given, known = getattr(two, name), getattr(one, name)
            assert (given.low, given.high) == pytest.approx((known.low, known.high)), name
        assert two.per_reader == pytest.approx(one.per_reader)
        assert (two.p_value, two.obuchowski_rockette_p) == pytest.approx((one.p_value, one.obuchowski_rockette_p))


def test_what_is_missing_is_said() -> None:
    protocol = protocol_of(cases=6)
    reads = read_all(protocol, answer, ("R1", "R2"))
    alone = several_readers([read for read in reads if read.reader == "R1"], protocol)
    assert alone[0].missing == "two readers who answered every diagnosis; there is 1"
    short = several_readers(reads[:-1], protocol)
    assert short[0].missing.endswith("there is 1; 1 did not answer every diagnosis")
    assert several_readers(reads, protocol)[1].missing == "two positive and two negative cases; one kind has 0"
    assert several_readers(reads, protocol)[0].missing == ""


def test_a_study_without_diagnoses_has_none() -> None:
    from percuss.study.design.protocol import Endpoint
    from percuss.study.design.trials import Arm

    seen = Endpoint(name="seen", role="primary", measure="detection", task="same", arm=ATTACKED)
    arms = (Arm(kind="adversarial", size="linf=2/255"),)
    protocol = protocol_of(cases=3, tasks=("same",), arms=arms, endpoints=(seen,), copies=1)
    assert several_readers(read_all(protocol, lambda *_: same(False)), protocol) == []


def test_van_dyke_comes_out_as_the_statistic_gives_it() -> None:
    """The published example through kernels instead of a table."""
    from percuss.study.statistics.mrmc import estimate, kernel

    study = van_dyke()
    known = difference(study, *study.arms[:2], measure="auc")
    one, two = (kernel(study, arm, measure="auc") for arm in study.arms[:2])
    assert estimate(one - two, paired=True).interval == known.interval
