"""Endpoints: the number, what its interval takes as chance, the verdict and its words."""

from __future__ import annotations

import numpy as np
import pytest
from tests.study.results.study_answers import (
    ATTACKED,
    LOSS,
    SIZE,
    choice,
    diagnosis,
    foote,
    number_of,
    protocol_of,
    rated,
    read_all,
    same,
)

from percuss.study.design.protocol import Endpoint
from percuss.study.design.trials import Arm
from percuss.study.results.decide import Sample, decide
from percuss.study.results.endpoints import endpoints
from percuss.study.statistics.mrmc import difference
from percuss.study.statistics.mrmc_table import Readings
from percuss.study.statistics.paired_share import PairedTable, newcombe, tango

NOISE = f"noise {SIZE}"
PAIRS = (Arm(kind="original"), Arm(kind="adversarial", size=SIZE), Arm(kind="noise", size=SIZE), Arm(kind="identical"))


def of_one(protocol, answer, readers=("R1",)):
    (found,) = endpoints(read_all(protocol, answer, readers), protocol)
    return found


def asked(**fields) -> Endpoint:
    values = {"name": "seen", "role": "primary", "measure": "detection", "task": "choice", "arm": ATTACKED}
    return Endpoint.model_validate(values | fields)


def missing(cases_by_arm):
    """Answers that miss these cases by arm, whatever the copy."""
    return lambda reader, trial, truth: diagnosis(
        "normal" if number_of(trial) in cases_by_arm.get(trial.arm, ()) else "tumour"
    )


def test_foote_loses_minus_2_5_points_and_shows_nothing() -> None:
    found = of_one(protocol_of(), foote)
    assert found.value.value == pytest.approx(-0.025)
    assert found.verdict == "not shown"
    assert "the margin of 5 points cannot be excluded" in found.sentence
    assert found.sentence.startswith("Loss of true positives: −2.5 points, 95 % interval −15.2 to 9.5:")
    # The changes of both copies lie in different cases: 40 answers, less what telling that from 20 cases costs.
    # One case is lost and two are gained, of three that change: all exchanges are as far out.
    assert (found.value.n, found.readers, found.p_value) == (20, 1, 1.0)
    assert found.test == "exact, arms of whole cases exchanged"
    assert found.value.method == "Tango score, paired, 40 answers to 20 cases as 36.7"
    assert [item.method for item in found.beside] == ["Student's t over cases"]
    by = {table.copy_number: (table.both, table.against_only, table.arm_only, table.neither) for table in found.tables}
    assert by == {1: (17, 0, 1, 2), 2: (17, 1, 1, 1)}
    assert found.tables[0].difference == tango(PairedTable(17, 0, 1, 2))
    assert found.tables[0].mcnemar_exact == 1.0


def test_one_copy_is_tango_with_newcombe_and_mcnemar_beside() -> None:
    protocol = protocol_of(copies=1)
    found = of_one(protocol, missing({"original": {0}, ATTACKED: set(range(1, 8))}))
    table = PairedTable(12, 7, 1, 0)
    assert found.value == tango(table)
    assert found.beside == [newcombe(table)]
    assert (found.p_value, found.test) == (pytest.approx(0.0703125), "McNemar, exact")


@pytest.mark.parametrize(("lost", "verdict"), [(0, "non-inferior"), (4, "not shown"), (40, "inferior")])
def test_verdict_against_the_margin(lost: int, verdict: str) -> None:
    protocol = protocol_of(cases=120, copies=1)
    found = of_one(protocol, missing({ATTACKED: set(range(lost))}))
    assert (found.value.value, found.verdict) == (pytest.approx(lost / 120), verdict)


def test_alpha_of_the_protocol_sets_the_level() -> None:
    endpoint = LOSS.model_copy(update={"alpha": 0.05})
    found = of_one(protocol_of(copies=1, endpoints=(endpoint,)), missing({ATTACKED: {0}}))
    assert found.value == tango(PairedTable(19, 1, 0, 0), confidence=0.9)
    assert found.confidence == pytest.approx(0.9)
    assert "90 % interval" in found.sentence


def test_only_positive_cases_count_and_all_stand_beside() -> None:
    protocol = protocol_of(cases=30, negatives=10, copies=1)

    def answer(reader, trial, truth):
        wrong = trial.arm == ATTACKED and number_of(trial) in {0, 25, 26}
        return diagnosis({"tumour": "normal", "normal": "tumour"}[truth] if wrong else truth)

    found = of_one(protocol, answer)
    assert (found.value.value, found.value.n) == (pytest.approx(1 / 20), 20)
    assert found.numbers["loss of right answers, cases of all classes"].value == pytest.approx(0.1)


def test_several_readers_are_random() -> None:
    protocol = protocol_of(cases=12, copies=1)
    missed = {"R1": {0, 1}, "R2": {1, 2, 3}, "R3": {5}}

    def answer(reader, trial, truth):
        return diagnosis("normal" if trial.arm == ATTACKED and number_of(trial) in missed[reader] else "tumour")

    reads = read_all(protocol, answer, tuple(missed))
    (found,) = endpoints(reads, protocol)
    scores = np.stack([np.array([[float(r.right) for r in reads if (r.reader, r.trial.arm) == (who, arm)]
                                 for who in missed]) for arm in ("original", ATTACKED)])  # fmt: skip
    table = Readings(tuple(missed), tuple(str(case) for case in range(12)), ("a", "b"), scores, None)
    expected = difference(table, "a", "b", measure="share")
    assert (found.value.value, found.value.low, found.value.high) == pytest.approx(
        (expected.interval.value, expected.interval.low, expected.interval.high)
    )
    assert found.p_value == pytest.approx(expected.p_value)
    assert (found.readers, len(found.tables)) == (3, 3)
    assert found.value.method == "U-statistic, 3 readers and cases random, Hillis df"


def test_readers_who_all_agree_leave_no_variance_but_a_bound_over_cases() -> None:
    protocol = protocol_of(copies=1)
    found = of_one(protocol, missing({}), readers=("R1", "R2"))
    assert found.value.method == "Tango score, paired, 40 answers to 20 cases as 20; readers as they are"
    assert (found.value.low, found.value.high) == pytest.approx((-0.1611, 0.1611), abs=1e-4)


def test_a_reader_who_did_not_finish_is_left_out_and_named() -> None:
    protocol = protocol_of(copies=1)
    reads = read_all(protocol, missing({ATTACKED: {0}}), ("R1", "R2"))[:-3]
    (found,) = endpoints(reads, protocol)
    assert (found.left_out, found.readers, found.value) == (["R2"], 1, tango(PairedTable(19, 1, 0, 0)))
    (nobody,) = endpoints(reads[3:20] + reads[23:], protocol)
    assert (nobody.readers, nobody.left_out) == (2, [])
    assert nobody.value.method.startswith("Tango score, paired, 34 answers to 20 cases as 30.7; readers as they are")


def test_no_answers() -> None:
    protocol = protocol_of()
    (found,) = endpoints([], protocol)
    assert (found.verdict, found.value.value, found.tables) == ("no answers", None, [])


def test_choice_against_guessing() -> None:
    protocol = protocol_of(copies=1, arms=PAIRS, tasks=("choice",), endpoints=(asked(),))
    found = of_one(protocol, lambda reader, trial, truth: choice(number_of(trial) < 15))
    assert (found.value.value, found.verdict) == (0.75, "above chance")
    assert found.numbers["d'"].value == pytest.approx(0.9539, abs=1e-4)
    assert found.value.method == "Wilson"
    blind = of_one(protocol, lambda reader, trial, truth: choice(number_of(trial) < 11))
    assert blind.verdict == "not told from chance"
    assert "55 %, 95 % interval 34.2 to 74.2" in blind.sentence


def test_choice_against_noise_with_a_margin_is_an_excess() -> None:
    endpoint = asked(against=NOISE, margin=0.3)
    protocol = protocol_of(copies=1, arms=PAIRS, tasks=("choice",), endpoints=(endpoint,))

    def answer(reader, trial, truth):
        return choice(number_of(trial) < (12 if trial.arm == ATTACKED else 10))

    found = of_one(protocol, answer)
    assert found.value.value == pytest.approx(0.1)
    assert (found.tables[0].arm_only, found.tables[0].against_only) == (2, 0)


def test_pairs_called_different_beside_identical_ones() -> None:
    endpoint = asked(task="same", against="identical")
    protocol = protocol_of(copies=1, arms=PAIRS, tasks=("same",), endpoints=(endpoint,))

    def answer(reader, trial, truth):
        return same(number_of(trial) >= {ATTACKED: 15, "identical": 5, NOISE: 5}[trial.arm])

    found = of_one(protocol, answer)
    assert (found.value.value, found.verdict) == (pytest.approx(0.5), "difference")
    assert found.numbers["percent correct"].value == pytest.approx(0.75)
    # Criterion root 2 z(0.875) = 1.627; root 2 z(0.75) = 0.954 beyond it, less the far tail.
    assert found.numbers["d'"].value == pytest.approx(2.574, abs=0.001)


def test_ratings_by_mean_and_auc() -> None:
    endpoint = asked(measure="rating", task="manipulation", against="original", margin=0.2)
    protocol = protocol_of(copies=1, tasks=("manipulation",), endpoints=(endpoint,))
    found = of_one(protocol, lambda reader, trial, truth: rated(2 + (trial.arm == ATTACKED and number_of(trial) % 2)))
    assert (found.value.value, found.numbers["AUC"].value) == (pytest.approx(0.5), pytest.approx(0.75))
    # Bounds 0.26 to 0.74 of a scale of 4, against 0.8.
    assert (found.verdict, found.unit) == ("non-inferior", "rating")
    assert "0.50, 95 % interval 0.26 to 0.74: stays below the margin of 0.8 of a scale" in found.sentence


def test_detection_by_ratings_is_an_auc_against_one_half() -> None:
    endpoint = asked(task="manipulation", against="original")
    protocol = protocol_of(copies=1, tasks=("manipulation",), endpoints=(endpoint,))
    found = of_one(protocol, lambda reader, trial, truth: rated(4 if trial.arm == ATTACKED else 2))
    assert (found.value.value, found.verdict, found.unit) == (1.0, "above chance", "share")
    assert found.value.low == pytest.approx(0.839, abs=1e-3)


def test_agreement_with_oneself() -> None:
    endpoint = LOSS.model_copy(update={"measure": "agreement", "margin": None})
    found = of_one(protocol_of(endpoints=(endpoint,)), foote)
    # Original: 19 of 20 alike (case 2); attacked: 18 (cases 1 and 3).
    assert found.value.value == pytest.approx(0.05)
    assert found.sentence.startswith("Loss of agreement with oneself: 5 points") and "original minus" in found.sign
    assert found.numbers["raw, R1"].value == pytest.approx(0.9)
    alone = endpoint.model_copy(update={"against": ""})
    assert of_one(protocol_of(endpoints=(alone,)), foote).value.value == pytest.approx(0.9)


def test_lost_agreement_does_not_stay_below_a_margin() -> None:
    """A reader who agrees with themselves on originals alone."""

    def answer(reader, trial, truth):
        return diagnosis("normal" if trial.arm == ATTACKED and trial.copy_number == 2 else "tumour")

    endpoint = LOSS.model_copy(update={"measure": "agreement", "margin": 0.1})
    found = of_one(protocol_of(endpoints=(endpoint,)), answer)
    assert (found.value.value, found.verdict) == (1.0, "inferior")
    (table,) = found.tables
    assert (table.against_only, table.arm_only) == (20, 0)


def test_pairs_called_different_beside_nothing_are_no_choice() -> None:
    protocol = protocol_of(arms=PAIRS, tasks=("same",), copies=1, endpoints=(asked(task="same"),))
    found = of_one(protocol, lambda *_: same(False))
    assert found.sentence.startswith("Called different: 100 %") and found.verdict == "described"


@pytest.mark.parametrize("repeat", [0.0, 0.5, 1.0])
def test_the_interval_of_copies_holds_the_true_loss(repeat: float) -> None:
    """60 cases, two copies, a true loss of 5 points; the second copy repeats the first with this chance."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(200):
        first = rng.random((2, 60))
        lost = np.stack([first[0], np.where(rng.random(60) < repeat, *first)])
        change = np.where(lost < 0.075, 1.0, np.where(lost < 0.1, -1.0, 0.0))
        samples = [
            Sample("R1", str(case), str(case), copy, float(change[copy, case] >= 0), float(change[copy, case] <= 0))
            for copy in range(2)
            for case in range(60)
        ]
        found = decide(samples, expected=120, alpha=0.025, scale="share").value
        held += found.low <= 0.05 <= found.high
    assert held >= 182


def test_alpha_sets_the_level_of_several_readers_and_of_ratings_too() -> None:
    missed = {"R1": {0, 1}, "R2": {1, 2, 3}, "R3": {5}}

    def answer(reader, trial, truth):
        return diagnosis("normal" if trial.arm == ATTACKED and number_of(trial) in missed[reader] else "tumour")

    wide, narrow = (
        of_one(protocol_of(cases=12, copies=1, endpoints=(LOSS.model_copy(update={"alpha": alpha}),)), answer, missed)
        for alpha in (0.025, 0.05)
    )
    assert wide.value.value == narrow.value.value
    assert narrow.value.high - narrow.value.low < 0.95 * (wide.value.high - wide.value.low)
    assert "90 % interval" in narrow.value.method and "interval" not in wide.value.method
