"""The size that readers detect, its status, and the size that flips the model beside it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.study.results.study_answers import LOSS, choice, number_of, protocol_of, read_all, same

from percuss.core.images import PixelRange
from percuss.report.reader_study_text import without_curve
from percuss.study.design.key import CaseKey, Key, ModelSays
from percuss.study.design.protocol import Endpoint, freeze
from percuss.study.design.trials import Arm
from percuss.study.results.doubts import doubts
from percuss.study.results.model import model_arms
from percuss.study.results.sizes import sizes_of, unplaced
from percuss.study.results.thresholds import thresholds

LEVELS = (1, 2, 4, 8, 16)
ARMS = (
    Arm(kind="original"),
    *(Arm(kind="adversarial", size=f"linf={level}/255") for level in LEVELS),
    Arm(kind="noise", size="linf=4/255"),
    Arm(kind="noise", size="linf=16/255"),
    Arm(kind="identical"),
)
SEEN = Endpoint(name="seen", role="primary", measure="detection", task="choice", arm="adversarial linf=4/255")


def study(cases=40, tasks=("choice",), arms=ARMS, copies=1):
    endpoint = SEEN.model_copy(update={"task": tasks[0], "arm": arms[1].name})
    return protocol_of(cases=cases, tasks=tasks, arms=arms, endpoints=(endpoint,), copies=copies)


def key_of(protocol, flips):
    """A key whose model flips case after case at these sizes (in 1/255)."""
    says = ModelSays(label="", confidence=0.9, flips=True)
    cases = tuple(
        CaseKey(id=case.id, model={"original": says}, flip_eps={"linf": None if flip is None else flip / 255})
        for case, flip in zip(protocol.cases, flips, strict=True)
    )
    return Key(frozen=freeze(protocol), trials={}, files={}, cases=cases, largest_tried={"linf": 16 / 255})


def level_of(trial) -> int:
    return int(trial.arm.rpartition("=")[2].removesuffix("/255")) if "=" in trial.arm else 0


def run(protocol, answer, flips=None, readers=("R1",)):
    key = key_of(protocol, flips or [1.0] * len(protocol.cases))
    return thresholds(read_all(protocol, answer, readers), protocol, sizes=sizes_of(protocol), key=key)


def whole(found):
    """Records over all readers and cases."""
    return [item for item in found if item.scope == "all"]


def seen_share(level: int) -> float:
    """Half at 0, 75 % at 4/255, nearly all at 16/255."""
    return 0.5 + 0.5 * (1 - 0.5 ** ((level / 4) ** 2))


def steady(reader, trial, truth):
    """Right in as many of the cases as the curve says."""
    return choice(number_of(trial) < round(40 * seen_share(level_of(trial))))


def test_a_choice_crosses_75_percent_where_the_curve_does() -> None:
    found, noise = whole(run(study(), steady))
    assert (found.kind, found.scope, found.status, noise.kind) == ("adversarial", "all", "found", "noise")
    assert [(point.right, point.n) for point in found.points] == [
        (round(40 * seen_share(level)), 40) for level in LEVELS
    ]
    assert found.threshold.value == pytest.approx(4 / 255, rel=0.05)
    assert found.threshold.low < 4 / 255 < found.threshold.high
    assert "bootstrap over 40 cases" in found.threshold.method
    assert (found.guess, found.target, len(found.curve)) == (0.5, 0.75, 46)


def test_the_models_sizes_stand_beside_it_with_those_that_never_flipped() -> None:
    flips = [0.5] * 10 + [1.0] * 15 + [2.0] * 4 + [None] * 11
    found, noise = whole(run(study(), steady, flips))
    model = found.model
    assert (model.cases, model.flipped, model.censored) == (40, 29, 11)
    assert model.quartiles == (pytest.approx(0.5 / 255), pytest.approx(1 / 255), None)
    # The 14th and 27th of 40.
    assert (model.median.value, model.median.low, model.median.high) == (
        pytest.approx(1 / 255),
        pytest.approx(1 / 255),
        pytest.approx(2 / 255),
    )
    assert (model.largest_tried, model.sizes[0], model.sizes[-1]) == (pytest.approx(16 / 255), 0.5 / 255, None)
    assert noise.model is None


def test_readers_who_see_nothing_have_a_threshold_above() -> None:
    found = run(study(), lambda reader, trial, truth: choice(number_of(trial) % 2 == 0))[0]
    assert (found.threshold.value, found.threshold.high) == (None, None)
    assert found.status in ("above", "undetermined")


def test_identical_pairs_enter_at_size_0() -> None:
    def answer(reader, trial, truth):
        share = {0: 0.2, 1: 0.25, 2: 0.4, 4: 0.7, 8: 0.95, 16: 1.0}[level_of(trial)]
        return same(number_of(trial) >= round(40 * share))

    found = run(study(tasks=("same",)), answer)[0]
    assert (found.points[0].eps, found.points[0].right, found.guess) == (0.0, 8, pytest.approx(0.2))
    assert found.status == "found"
    assert 3 / 255 < found.threshold.value < 6 / 255


def test_why_there_is_no_curve() -> None:
    few = study(cases=4, arms=(Arm(kind="original"), Arm(kind="adversarial", size="linf=2/255")))
    (found,) = run(few, steady)
    assert (found.status, found.why) == ("none", "one size above 0 was shown, and a curve needs two")
    without = study(cases=4, tasks=("same",), arms=ARMS[:3])
    (found,) = whole(run(without, lambda *_: same(True)))
    assert found.why.startswith("no identical pairs")
    (found, _) = whole(run(study(cases=4, tasks=("same",)), lambda *_: same(False)))
    assert found.why.startswith("identical pairs were called different in 100 %")
    protocol = study(cases=4)
    empty = thresholds([], protocol, sizes=sizes_of(protocol), key=key_of(protocol, [1.0] * 4))
    assert [item.why for item in empty] == ["no answers", "no answers"]


def test_by_reader_and_by_case_where_there_are_enough_answers() -> None:
    protocol = study(cases=6, copies=2)
    rng = np.random.default_rng(3)
    readers = ("R1", "R2")
    found = run(
        protocol, lambda reader, trial, truth: choice(rng.random() < seen_share(level_of(trial))), None, readers
    )
    own = [item for item in found if item.kind == "adversarial"]
    # 2 readers, 2 copies, 5 sizes: 20 answers to each case.
    assert [item.scope for item in own] == ["all", "reader", "reader", *["case"] * 6]
    assert own[3].threshold.method == "profile likelihood, weibull"
    assert own[3].model.cases == 1


def test_a_case_with_too_few_answers_says_so() -> None:
    protocol = study(cases=3, copies=2)
    reads = read_all(protocol, lambda reader, trial, truth: choice(number_of(trial) % 2 == 0), ("R1", "R2"))
    # The first case lacks one of its 20 answers, the second all of them.
    gone = next(read for read in reads if read.trial.case == "case-00" and read.trial.arm.startswith("adv"))
    kept = [read for read in reads if read is not gone and read.trial.case != "case-01"]
    found = thresholds(kept, protocol, sizes=sizes_of(protocol), key=key_of(protocol, [1.0, 2.0, None]))
    one, none, enough = [item for item in found if item.scope == "case"]
    assert (one.status, one.why) == (
        "none",
        "19 answers to the case's changed images; a curve of its own needs 20",
    )
    assert (none.status, none.why, none.model.flipped) == ("none", "no answers", 1)
    assert (enough.why, enough.fitted is None) == ("", False)
    assert "2 of 3 cases, of 0 to 19 answers each" in without_curve(found)[-1]
    # Where no curve is possible at all, it is said once.
    few = study(cases=3, arms=(Arm(kind="original"), Arm(kind="adversarial", size="linf=2/255")))
    assert [item.scope for item in run(few, steady)] == ["all"]


def test_patients_are_what_varies_where_they_have_several_cases() -> None:
    protocol = study(cases=12)
    made = [case.model_copy(update={"patient": f"p{place // 3}"}) for place, case in enumerate(protocol.cases)]
    protocol = protocol.model_copy(update={"cases": tuple(made)})
    found = run(protocol, lambda reader, trial, truth: choice(number_of(trial) < 12 * seen_share(level_of(trial))))
    assert "bootstrap over 4 patients" in found[0].threshold.method


def test_sizes_in_their_own_measure() -> None:
    arms = (
        Arm(kind="original"),
        Arm(kind="adversarial", size="l2=rms:0.01"),
        Arm(kind="adversarial", size="linf=2grey"),
    )
    protocol = study(cases=2, arms=arms)
    assert sizes_of(protocol) == {}
    grey = PixelRange()
    full = sizes_of(protocol, shape=(3, 10, 10), pixels=grey)
    # Diagnoses have no curve, so that nothing is missing; pairs would have one.
    paired = study(cases=2, arms=(*arms, Arm(kind="adversarial", size="none")))
    known = sizes_of(paired, shape=(3, 10, 10), pixels=grey)
    lost = LOSS.model_copy(update={"arm": arms[1].name})
    assert unplaced(protocol_of(cases=2, arms=arms, endpoints=(lost,)), {}) == ()
    assert unplaced(paired, sizes_of(paired)) == (arms[1].name, arms[2].name, "adversarial none")
    assert unplaced(paired, known) == ("adversarial none",)
    (doubt,) = (item for item in doubts(paired, [], [], unplaced=unplaced(paired, known)) if "size" in item.id)
    assert (doubt.id, doubt.evidence) == ("study-arm-without-size", {"arms": ["adversarial none"]})
    assert full == {
        arms[1].name: ("l2", pytest.approx(0.01 * 300**0.5)),
        arms[2].name: ("linf", pytest.approx(2 / 255)),
    }


def test_the_model_on_the_same_files() -> None:
    protocol = protocol_of(cases=4, copies=1, negatives=1)
    labels = {"original": ["tumour", "tumour", "normal", "normal"], "adversarial linf=2/255": ["normal"] * 4}
    cases = tuple(
        CaseKey(
            id=case.id,
            model={
                arm: ModelSays(label=said[place], confidence=0.8, flips=arm != "original" and place < 2, attack="pgd")
                for arm, said in labels.items()
            },
            flip_eps={},
        )
        for place, case in enumerate(protocol.cases)
    )
    original, attacked = model_arms(protocol, Key(frozen=freeze(protocol), trials={}, files={}, cases=cases))
    assert (original.true_positives, original.positives, original.right.value) == (2, 3, 0.75)
    assert (attacked.true_positives, attacked.flipped, attacked.attacks) == (0, 2, {"pgd": 4})
    assert (attacked.flipped_share.value, attacked.flipped_share.method) == (0.5, "Wilson")
    bare = study(cases=4)
    blank = bare.model_copy(update={"cases": tuple(case.model_copy(update={"truth": ""}) for case in bare.cases)})
    (found,) = model_arms(blank, key_of(blank, [1.0] * 4))
    assert (found.right.value, found.true_positives, found.flipped) == (None, None, 4)
