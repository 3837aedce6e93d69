"""Intervals of several readers are never narrower than those of as many answers as theirs are worth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from statsmodels.stats.proportion import proportion_confint
from tests.study.results.study_answers import ATTACKED, LOSS, choice, diagnosis, number_of, protocol_of, rated, read_all

from percuss.core.results import Interval
from percuss.study.design.protocol import Endpoint
from percuss.study.design.trials import Arm
from percuss.study.planning.simulated_power import Model, answers
from percuss.study.results.decide import Sample, decide
from percuss.study.results.endpoints import endpoints
from percuss.study.results.several_readers import several_readers
from percuss.study.results.widening import p_alone, widened
from percuss.study.statistics.paired_share import mcnemar, score_bounds

READERS = ("R1", "R2", "R3", "R4", "R5")


def missed(reader, case):
    """Readers miss other cases and nearly equally many: the U-statistic then sees hardly any variance."""
    first = 8 * (int(reader[1:]) - 1)
    return first <= case < first + 8 or (reader == "R1" and case == 39)


def pair(reader, trial, truth):
    return choice(not missed(reader, number_of(trial)))


def test_a_share_of_200_answers_is_no_surer_than_200_answers() -> None:
    arms = (Arm(kind="original"), Arm(kind="adversarial", size="linf=2/255"))
    asked = Endpoint(name="seen", role="primary", measure="detection", task="choice", arm=ATTACKED)
    protocol = protocol_of(40, arms=arms, tasks=("choice",), copies=1, endpoints=(asked,))
    (found,) = endpoints(read_all(protocol, pair, READERS), protocol)
    # Independent within their cases: all, less what telling that from 40 cases costs.
    worth = 200 * (student.ppf(0.975, 199) / student.ppf(0.975, 39)) ** 2
    low, high = proportion_confint(159 / 200 * worth, worth, method="wilson")
    assert found.value.value == pytest.approx(159 / 200)
    assert found.value.low == pytest.approx(low) and found.value.high == pytest.approx(high)
    assert found.value.method == (
        "U-statistic, 5 readers and cases random, Hillis df; widened to 200 answers as 190 (Wilson)"
    )


def test_a_loss_and_its_p_value_are_no_surer_either() -> None:
    def answer(reader, trial, truth):
        lost = {"R1": (0, 39), "R2": (8,), "R3": (16,), "R4": (24,), "R5": (32,)}[reader]
        return diagnosis("normal" if trial.arm == ATTACKED and number_of(trial) in lost else "tumour")

    protocol = protocol_of(40, copies=1, endpoints=(LOSS,))
    reads = read_all(protocol, answer, READERS)
    (found,) = endpoints(reads, protocol)
    worth = 200 * (student.ppf(0.975, 199) / student.ppf(0.975, 39)) ** 2
    low, high = score_bounds(6 * worth / 200, 0, worth)
    assert (found.value.low, found.value.high) == pytest.approx((low, high))
    assert found.p_value == pytest.approx(float(2 * norm.sf(np.sqrt(6 * worth / 200))))
    (record,) = (item for item in several_readers(reads, protocol) if item.measure == "share")
    assert record.difference == found.value and record.p_value == found.p_value
    assert record.arm_value.method.endswith("widened to 200 answers as 190 (Wilson)")
    # All right: as many as there are cases, since readers who agree say nothing of other cases.
    assert record.against_value.method == "Wilson, 200 answers to 40 cases as 40; readers as they are"
    assert record.obuchowski_rockette_p == pytest.approx(record.p_value)


def test_ratings_stay_on_their_scale() -> None:
    asked = Endpoint(name="rated", role="primary", measure="rating", task="manipulation", arm=ATTACKED)
    protocol = protocol_of(40, tasks=("manipulation",), copies=1, endpoints=(asked,))

    def answer(reader, trial, truth):
        return rated(2 if missed(reader, number_of(trial)) else 1)

    (found,) = endpoints(read_all(protocol, answer, READERS), protocol)
    assert found.value.method.endswith("widened to 200 answers as 190 (Student's t)")
    half = student.ppf(0.975, 39) * np.std([2.0] * 41 + [1.0] * 159, ddof=1) / np.sqrt(200)
    assert found.value.high == pytest.approx(1 + 41 / 200 + half, abs=1e-4)
    assert widened(Interval(value=1.0, low=1.0, high=1.01, n=2, method="m"), [1.0] * 9 + [1.1], "rating").low == 1.0


def test_a_wide_interval_stays_as_it_is_and_one_without_bounds_too() -> None:
    wide = Interval(value=0.5, low=0.1, high=0.9, n=40, method="U")
    assert widened(wide, [1.0, 0.0] * 50, "share") == wide
    bare = Interval(value=1.0, low=None, high=None, n=40, method="U")
    assert widened(bare, [1.0] * 50, "share") == bare
    less = widened(Interval(value=0.5, low=0.4, high=0.9, n=40, method="U"), [1.0, 0.0] * 2, "share")
    assert less.method == "U; widened to 4 independent answers (Wilson)"
    assert (less.low, less.high) == (pytest.approx(proportion_confint(2, 4, method="wilson")[0]), 0.9)
    half = Interval(value=0.0, low=-0.5, high=0.01, n=40, method="U")
    ends = widened(half, [1.0, -1.0] + [0.0] * 98, "difference")
    assert ends.low == -0.5 and ends.high == pytest.approx(score_bounds(1, 1, 100)[1])


def test_p_values_are_those_of_independent_answers() -> None:
    assert p_alone([1.0] * 8 + [-1.0] * 2, "difference") == pytest.approx(float(2 * norm.sf(6 / np.sqrt(10))))
    assert p_alone([0.0] * 9, "difference") == 1.0
    # McNemar's mid-p is near the score test.
    from percuss.study.statistics.paired_share import PairedTable

    near = mcnemar(PairedTable(0, 30, 15, 0), mid_p=True)
    assert p_alone([1.0] * 30 + [-1.0] * 15, "difference") == pytest.approx(near, abs=0.005)


def test_narrow_intervals_of_few_readers_hold_the_truth_more_often() -> None:
    """Readers and cases random; the floor lifts the coverage of the narrow ones and leaves the others alone."""
    rng = np.random.default_rng(3)
    held, wilson = [], []
    for _ in range(400):
        skill, ease = rng.normal(0, 0.3, (3, 1)), rng.normal(0, 0.7, (1, 30))
        right = norm.ppf(0.8) * np.sqrt(1.58) + skill + ease + rng.normal(0, 1, (3, 30)) > 0
        samples = [
            Sample(f"R{row + 1}", str(case), str(case), 1, float(right[row, case]))
            for row in range(3)
            for case in range(30)
        ]
        value = decide(samples, expected=30, alpha=0.025, scale="share").value
        low, high = proportion_confint(int(right.sum()), 90, method="wilson")
        assert value.low <= low + 1e-9 and value.high >= high - 1e-9
        held.append(value.low <= 0.8 <= value.high)
        wilson.append(low <= 0.8 <= high)
    assert 0.92 <= np.mean(held) <= 0.99 and np.mean(wilson) < np.mean(held)


def test_a_loss_as_large_as_the_margin_is_seldom_called_smaller() -> None:
    """Three readers, 56 cases: the U-statistic alone says so in 5 of 100 studies, at a nominal 2.5."""
    model = Model((1, -1, 0), (0.11, 0.01, 0.88), 0.1, True, "score", 0.025, 0.3, 0.01)
    ends = {1: (1.0, 0.0), -1: (0.0, 1.0), 0: (1.0, 1.0)}
    called = 0
    for study in answers(model, (300, 56, 3), np.random.default_rng(1)):
        samples = [
            Sample(f"R{reader}", str(case), str(case), 1, *ends[int(study[case, reader])])
            for case in range(56)
            for reader in range(3)
        ]
        high = decide(samples, expected=56, alpha=0.025, scale="share").value.high
        called += high < 0.1
    assert called <= 0.035 * 300
