"""Trials of a study from cases and arms."""

import pytest
from pydantic import ValidationError

from percuss.core.checked import checked
from percuss.core.errors import BudgetError, DataError, UsageError
from percuss.study.design.trials import Arm, Case, build_trials

ORIGINAL, ATTACK, MORE = Arm(kind="original"), Arm(kind="adversarial", size="linf=1"), Arm(kind="noise", size="linf=1")
SAME, VISIBLE = Arm(kind="identical"), Arm(kind="visible", size="linf=0.5")


def case(name="c", **changes):
    images = {
        "original": "0" * 64,
        "adversarial linf=1": "1" * 64,
        "noise linf=1": "2" * 64,
        "visible linf=0.5": "3" * 64,
    }
    return Case(id=name, truth="tumour", images={**images, **changes})


def test_each_task_shows_its_arms():
    arms = (ORIGINAL, ATTACK, MORE, SAME, VISIBLE)
    got = build_trials([case("a"), case("b")], arms, ("diagnosis", "choice", "same"), copies=2)
    shown = {task: {t.arm for t in got if t.task == task} for task in ("diagnosis", "choice", "same")}
    assert shown["diagnosis"] == {"original", "adversarial linf=1", "noise linf=1", "visible linf=0.5"}
    assert shown["choice"] == shown["diagnosis"] - {"original"}
    assert shown["same"] == shown["choice"] | {"identical"}
    assert len({t.key for t in got}) == len(got) == 2 * 2 * (4 + 3 + 4)
    for trial in got:
        assert bool(trial.beside) == (trial.task != "diagnosis")
        assert (trial.image == trial.beside) == (trial.arm == "identical")


def test_the_paper_design_has_80_trials():
    got = build_trials([case(str(n)) for n in range(20)], (ORIGINAL, ATTACK), ("diagnosis",), copies=2)
    assert len(got) == 80 and {t.copy_number for t in got} == {1, 2}


@pytest.mark.parametrize(
    ("arms", "tasks", "copies", "text"),
    [
        ((ORIGINAL, ORIGINAL), ("diagnosis",), 1, "an arm is there twice: original"),
        ((ORIGINAL,), ("diagnosis", "diagnosis"), 1, "a task is there twice"),
        ((), ("diagnosis",), 1, "a study without an arm"),
        ((ORIGINAL,), (), 1, "a study without a task"),
        ((ORIGINAL,), ("diagnosis",), 0, "copies is too small: 0"),
        ((ORIGINAL, MORE), ("diagnosis",), 1, "noise without an attack of its size: noise linf=1"),
        ((ORIGINAL, SAME), ("choice",), 1, "a task has no arm to show: choice. Allowed: adversarial, noise, visible"),
    ],
)
def test_designs_that_make_no_study(arms, tasks, copies, text):
    with pytest.raises(UsageError, match=text):
        build_trials([case()], arms, tasks, copies=copies)


def test_cases_that_cannot_be_shown():
    arms, tasks = (ORIGINAL, ATTACK), ("same",)
    with pytest.raises(DataError, match="a case is there twice: c"):
        build_trials([case(), case()], arms, tasks)
    with pytest.raises(DataError, match="a study without a case"):
        build_trials([], arms, tasks)
    with pytest.raises(DataError, match="case c, arm adversarial linf=1. Allowed: original"):
        build_trials([Case(id="c", truth="t", images={"original": "0" * 64})], arms, tasks)
    lost = case(**{"adversarial linf=1": "0" * 64})
    for task in ("same", "diagnosis"):
        with pytest.raises(DataError, match=r"the file of the original: case c, arm adversarial linf=1.*lost"):
            build_trials([lost], arms, (task,))


def test_arms_and_cases_are_checked_and_frozen():
    for wrong in (
        {"kind": "adversarial"},
        {"kind": "original", "size": "linf=1"},
        {"kind": "noise", "size": "linf= 1"},
    ):
        with pytest.raises(UsageError):
            checked(Arm, wrong)
    with pytest.raises(BudgetError):
        Arm(kind="noise", size="much")
    with pytest.raises(UsageError, match="64 hex digits"):
        checked(Case, {"id": "c", "truth": "t", "images": {"original": "A" * 64}})
    with pytest.raises(ValidationError, match="frozen"):
        ATTACK.size = "linf=1/2"


def test_an_arm_can_be_kept_to_some_tasks():
    marked = VISIBLE.model_copy(update={"tasks": ("choice",)})
    got = build_trials([case()], (ORIGINAL, ATTACK, marked), ("diagnosis", "choice", "same"))
    assert {trial.task for trial in got if trial.arm == marked.name} == {"choice"}
    with pytest.raises(UsageError, match="a task has no arm to show: same"):
        build_trials([case()], (ORIGINAL, marked), ("diagnosis", "choice", "same"))
    with pytest.raises(ValidationError, match="the arm identical in same, not in choice"):
        Arm(kind="identical", tasks=("same", "choice"))
