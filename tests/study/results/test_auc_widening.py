"""AUCs of several readers are never surer than independent readings, and never quite sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from tests.study.results.study_answers import ATTACKED, diagnosis, number_of, protocol_of, read_all
from tests.study.van_dyke import van_dyke

from percuss.study.results.auc_widening import Floor, gap_p, widened_aucs, widened_gap
from percuss.study.results.several_readers import several_readers
from percuss.study.statistics.auc_score import Pairs, auc_bounds, joined_bounds
from percuss.study.statistics.mrmc import estimate, kernel
from percuss.study.statistics.mrmc_anova import obuchowski_rockette_of

READERS = ("R1", "R2", "R3")


def perfect(reader, trial, truth):
    return diagnosis(truth, 3 + number_of(trial) % 3)


def of_auc(protocol, answer, readers=READERS):
    (found,) = (
        item for item in several_readers(read_all(protocol, answer, readers), protocol) if item.measure == "auc"
    )
    assert found.missing == ""
    return found


def test_a_perfect_auc_of_several_readers_has_a_width() -> None:
    protocol = protocol_of(cases=30, negatives=12, copies=2)
    found = of_auc(protocol, perfect)
    low = auc_bounds(1.0, Pairs(12, 18))[0]
    # Readers who agree on all say nothing of other cases: one reading.
    for arm in (found.arm_value, found.against_value):
        assert (arm.value, arm.low, arm.high) == (1.0, pytest.approx(low), 1.0)
        assert arm.method == (
            "Newcombe's score, one reading of 12 negative and 18 positive units: the readings leave no variance"
        )
    for gap in (found.difference, found.obuchowski_rockette):
        assert (gap.value, gap.low, gap.high) == (0.0, pytest.approx(low - 1), pytest.approx(1 - low))
    assert (found.p_value, found.obuchowski_rockette_p) == (1.0, 1.0)


def test_an_auc_of_0_too() -> None:
    def turned(reader, trial, truth):
        return diagnosis({"tumour": "normal", "normal": "tumour"}[truth], 4)

    found = of_auc(protocol_of(cases=30, negatives=12, copies=1), turned)
    assert (found.arm_value.low, found.arm_value.value) == (0.0, 0.0)
    assert found.arm_value.high == pytest.approx(1 - auc_bounds(1.0, Pairs(12, 18))[0])


def test_one_arm_lost_altogether_is_a_difference_all_the_same() -> None:
    def lost(reader, trial, truth):
        said = {"tumour": "normal", "normal": "tumour"}[truth] if trial.arm == ATTACKED else truth
        return diagnosis(said, 4)

    found = of_auc(protocol_of(cases=30, negatives=12, copies=1), lost)
    assert found.difference.value == 1.0 and 0.5 < found.difference.low < 0.9
    assert found.p_value < 1e-4 and found.obuchowski_rockette_p == found.p_value


def test_nearly_no_variance_is_widened_and_says_so() -> None:
    """Every reader turns another case, by nearly as much: the variance is there, and far too small."""

    def once(reader, trial, truth):
        place, who = number_of(trial), int(reader[1:])
        if truth == "tumour":
            turned = trial.arm == ATTACKED and place == who
            return diagnosis("normal" if turned else "tumour", 3 + (who == 3) if turned else 4)
        return diagnosis("normal", 1 + place % 5)

    found = of_auc(protocol_of(cases=30, negatives=12, copies=1), once)
    low = auc_bounds(found.arm_value.value, Pairs(12, 18, 3))[0]
    assert found.arm_value.value < 1 and found.arm_value.low == pytest.approx(low)
    assert found.arm_value.method.endswith("widened to 3 independent readings (Newcombe's score)")
    assert found.difference.high - found.difference.low > 0.05
    assert "widened to 3 independent readings (Newcombe's score, joined)" in found.obuchowski_rockette.method


def test_published_intervals_stay_as_they_are() -> None:
    """Van Dyke's study varies more than independent readings would."""
    study = van_dyke()
    both = tuple(kernel(study, arm, measure="auc") for arm in study.arms[:2])
    floor = Floor.of((both[0], both[1]), copies=1, units=None)
    plain = [estimate(item, paired=False).interval for item in both]
    assert widened_aucs(plain, floor) == plain
    change, test = estimate(both[0] - both[1], paired=True), obuchowski_rockette_of((both[0], both[1]), cases=114)
    assert widened_gap(change.interval, floor) == change.interval
    assert widened_gap(test.difference, floor) == test.difference
    assert gap_p(change.p_value, floor) == change.p_value
    # Cov1 over the variance, by the printed output of OR-DBM MRMC 2.51.
    assert floor.correlation == pytest.approx(0.00034661 / 0.00080229, abs=1e-5)


def test_the_p_value_is_the_one_whose_interval_just_holds_nothing() -> None:
    floor = Floor((0.95, 0.8), Pairs(20, 20, 2), Pairs(20, 20), 0.4)
    for alone, p_value in ((False, gap_p(0.0, floor)), (True, gap_p(None, floor))):
        low, _ = floor.gap(alone=alone, confidence=1 - p_value)
        assert low == pytest.approx(0.0, abs=1e-9)
    assert gap_p(0.9, floor) == 0.9
    one, two = (floor.arm(place, alone=False) for place in (0, 1))
    assert floor.gap(alone=False) == joined_bounds(one, two, correlation=0.4)


def test_patients_with_several_cases_take_the_place_of_cases() -> None:
    rng = np.random.default_rng(3)
    # Two cases of each patient, read alike: no more than one of each.
    ease = {number: rng.normal(0, 1) for number in range(24)}

    def answer(reader, trial, truth):
        place = number_of(trial) // 2
        seen = (1.2 if truth == "tumour" else -1.2) + 1.5 * ease[place] * (1 if trial.arm == ATTACKED else 0.5)
        seen += 0.4 * np.sin(7 * place + int(reader[1:]))
        return diagnosis("tumour" if seen > 0 else "normal", int(np.clip(1 + 2 * abs(seen), 1, 5)))

    patients = {number: f"p{number // 2}" for number in range(48)}
    shared = of_auc(protocol_of(cases=48, negatives=24, copies=1, patients=patients), answer)
    alone = of_auc(protocol_of(cases=48, negatives=24, copies=1), answer)
    assert shared.difference.value == pytest.approx(alone.difference.value)
    assert (shared.difference.n, shared.cases) == (24, 48)
    assert shared.difference.method.startswith("jackknife over 24 patients, 3 readers random, Hillis df")
    assert "24 patients random" in shared.obuchowski_rockette.method
    spread = [item.difference.high - item.difference.low for item in (shared, alone)]
    assert spread[0] > 1.2 * spread[1]


def test_a_class_of_one_patient_has_no_interval_and_says_why() -> None:
    protocol = protocol_of(cases=8, negatives=4, copies=1, patients={4: "p", 5: "p", 6: "p", 7: "p"})
    found = several_readers(read_all(protocol, perfect, READERS), protocol)
    assert [item.missing for item in found] == [
        "",
        "positive and negative cases of two patients each; one kind has 1",
    ]


def test_near_perfection_they_hold_the_truth() -> None:
    """Three readers and 40 cases, AUC 0.98: without the floor 60 to 90 %."""
    rng = np.random.default_rng(8)
    truth, held, before = norm.cdf(3 / np.sqrt(2)), np.zeros(2), np.zeros(2)
    for _ in range(250):
        case = rng.normal(0, np.sqrt(0.5), (1, 40))
        kinds = [np.r_[np.zeros(20), np.full(20, 3.0)] + case + rng.normal(0, np.sqrt(0.5), (3, 40)) for _ in range(2)]
        both = tuple((np.sign(item[:, None, 20:] - item[:, :20, None]) + 1) / 2 for item in kinds)
        floor = Floor.of((both[0], both[1]), copies=1, units=None)
        plain = [estimate(both[0], paired=False).interval, estimate(both[0] - both[1], paired=True).interval]
        wide = [widened_aucs(plain[:1], floor)[0], widened_gap(plain[1], floor)]
        for place, true in enumerate((truth, 0.0)):
            for count, found in ((held, wide[place]), (before, plain[place])):
                count[place] += found.low is not None and found.low <= true <= found.high
    assert (held >= 0.94 * 250).all() and before[0] < 0.9 * 250
