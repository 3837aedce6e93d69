"""Percent correct and d' by arm and reader."""

from __future__ import annotations

import pytest
from tests.study.results.study_answers import ATTACKED, SIZE, choice, number_of, protocol_of, read_all, same

from percuss.study.design.protocol import Endpoint
from percuss.study.design.trials import Arm
from percuss.study.results.detection import detection
from percuss.study.statistics.detection import same_different, two_alternatives

ARMS = (Arm(kind="original"), Arm(kind="adversarial", size=SIZE), Arm(kind="identical"))


def of_task(task, answer, *, copies=1, readers=("R1",), arms=ARMS):
    seen = Endpoint(name="seen", role="primary", measure="detection", task=task, arm=ATTACKED)
    protocol = protocol_of(cases=40, tasks=(task,), arms=arms, endpoints=(seen,), copies=copies)
    return detection(read_all(protocol, answer, readers), protocol)


def test_a_choice_of_one_reader_is_the_published_statistic() -> None:
    (found,) = of_task("choice", lambda reader, trial, truth: choice(number_of(trial) < 30))
    share, dprime = two_alternatives(30, 40)
    assert found.correct == share
    assert (found.dprime.value, found.dprime.low, found.dprime.high) == (dprime.value, dprime.low, dprime.high)
    assert (found.called, found.alarms) == (None, None)


def test_all_right_has_no_finite_dprime_but_a_lower_bound() -> None:
    (found,) = of_task("choice", lambda *_: choice(True))
    assert found.dprime.value is None and found.dprime.low == pytest.approx(1.91, abs=0.01)


def test_pairs_beside_identical_ones() -> None:
    def answer(reader, trial, truth):
        return same(number_of(trial) >= (8 if trial.arm == "identical" else 28))

    (found,) = of_task("same", answer)
    assert (found.called.value, found.alarms.value, found.correct.value) == (0.7, 0.2, 0.75)
    assert found.dprime == same_different(28, 40, alarms=8, same=40)
    (alone,) = of_task("same", answer, arms=ARMS[:2])
    assert (alone.dprime.value, alone.alarms.value, alone.called.value) == (None, None, 0.7)


def test_copies_answered_alike_make_no_narrower_interval() -> None:
    def answer(reader, trial, truth):
        return same(number_of(trial) >= (8 if trial.arm == "identical" else 28))

    (once,), (twice,) = of_task("same", answer), of_task("same", answer, copies=2)
    assert twice.dprime.value == pytest.approx(once.dprime.value, abs=1e-4)
    assert (twice.dprime.low, twice.dprime.high) == pytest.approx((once.dprime.low, once.dprime.high), abs=1e-3)
    assert twice.dprime.method.endswith("160 answers as 80")


def test_each_reader_and_all() -> None:
    found = of_task("choice", lambda reader, *_: choice(reader == "R1"), readers=("R1", "R2"))
    assert {item.reader: item.correct.value for item in found} == {"R1": 1.0, "R2": 0.0, None: 0.5}
