"""Where attention is in doubt: the bounds themselves, one reader at a time."""

import pytest
from tests.study.results.study_answers import ATTACKED, SIZE, number_of, protocol_of, rated, read_all, same

from percuss.study.design.protocol import Endpoint
from percuss.study.design.trials import Arm
from percuss.study.results.attention import MANY_ALARMS, UNSEEN, attention

ARMS = (
    Arm(kind="original"),
    Arm(kind="adversarial", size=SIZE),
    Arm(kind="visible", size="linf=64/255"),
    Arm(kind="identical"),
)
SEEN = Endpoint(name="seen", role="primary", measure="detection", task="same", arm=ATTACKED)


def told(task, answer, readers=("R1",)):
    """What is told of readers who see eight cases once in each arm."""
    endpoint = SEEN if task == "same" else SEEN.model_copy(update={"measure": "rating", "task": task})
    protocol = protocol_of(cases=8, arms=ARMS, tasks=(task,), endpoints=(endpoint,), copies=1)
    return list(attention(read_all(protocol, answer, readers)))


@pytest.mark.parametrize(("alarms", "severity"), [(1, "info"), (4, "info"), (5, "warning"), (8, "warning")])
def test_false_alarms_are_a_warning_above_half_of_the_identical_pairs(alarms: int, severity: str) -> None:
    assert MANY_ALARMS == 0.5
    (found,) = told("same", lambda _, trial, __: same(trial.arm == "identical" and number_of(trial) >= alarms))
    assert (found.kind, found.severity, found.count) == ("identical-called-different", severity, alarms)
    assert found.evidence["shown"] == 8
    assert found.message == f"R1 called {alarms} of 8 identical pairs different ({100 * alarms / 8:.0f} %)."


def test_no_false_alarm_is_told_of_nobody() -> None:
    assert told("same", lambda _, trial, __: same(trial.arm == "identical")) == []


def test_each_reader_by_their_own_share() -> None:
    def answer(reader, trial, _):
        return same(trial.arm == "identical" and number_of(trial) >= {"R1": 4, "R2": 5}[reader])

    found = told("same", answer, ("R1", "R2"))
    assert [(item.reader, item.severity) for item in found] == [("R1", "info"), ("R2", "warning")]


@pytest.mark.parametrize(("rating", "missed"), [(UNSEEN - 1, 8), (UNSEEN, 8), (UNSEEN + 1, 0)])
def test_a_visible_change_rated_two_is_missed_and_three_is_seen(rating: int, missed: int) -> None:
    found = told("manipulation", lambda *_: rated(rating))
    assert [(item.kind, item.severity, item.count) for item in found] == [("visible-missed", "warning", missed)] * (
        missed > 0
    )
