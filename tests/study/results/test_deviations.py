"""Every way to leave the protocol is told, with how bad it is, and nothing is told of a study that kept to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.study.results.study_answers import (
    ATTACKED,
    SIZE,
    choice,
    diagnosis,
    foote,
    protocol_of,
    rated,
    read_all,
    same,
)

from percuss.study.answers import Shown
from percuss.study.design.protocol import Endpoint, amend, freeze
from percuss.study.design.trials import Arm
from percuss.study.results.deviations import deviations
from percuss.study.results.doubts import doubts
from percuss.study.results.endpoints import endpoints
from percuss.study.results.happened import Correction, Happened, Override, Person

DISPLAY = {"monitor": "one"}


def seen_as_sent(read, **more):
    """A read whose browser received the trial's own files, at true pixels."""
    files = (read.trial.image, read.trial.beside) if read.trial.beside else (read.trial.image,)
    return replace(read, shown=Shown(**{"reaction_ms": 4000, "zoom_most": 2, "sha256": files} | more))


def clean(protocol, answer=foote, readers=("R1",)):
    reads = [seen_as_sent(read) for read in read_all(protocol, answer, readers)]
    return reads, people(protocol, reads, readers)


def people(protocol, reads, readers=("R1",)):
    total = len(protocol.trials())
    return Happened(
        people=tuple(
            Person(name, total, display=DISPLAY, order=tuple(r.number for r in reads if r.reader == name))
            for name in readers
        )
    )


def kinds(found):
    return {item.kind: item.severity for item in found}


def test_a_study_that_kept_to_its_protocol_has_none() -> None:
    protocol = protocol_of()
    reads, happened = clean(protocol)
    assert deviations(reads, freeze(protocol), happened) == []


@pytest.mark.parametrize(
    ("shown", "kind", "severity"),
    [
        ({"sha256": ("0" * 64,)}, "other-bytes", "severe"),
        ({"sha256": ()}, "not-hashed", "info"),
        ({"zoom_most": 0.5}, "below-true-pixels", "warning"),
        ({"reaction_ms": 499.9}, "fast", "warning"),
        ({"reaction_ms": 300_000.1}, "slow", "info"),
        ({"focus_losses": 2}, "focus-lost", "info"),
        ({"offline": True}, "offline", "info"),
    ],
)
def test_how_an_image_was_looked_at(shown, kind, severity) -> None:
    protocol = protocol_of()
    reads, happened = clean(protocol)
    reads[6] = seen_as_sent(reads[6], **shown)
    (found,) = deviations(reads, freeze(protocol), happened)
    assert (found.kind, found.severity, found.reader, found.count) == (kind, severity, "R1", 1)
    assert found.evidence["places"] == [7]
    assert found.message.startswith("1 of 80 answers of R1 were ")


@pytest.mark.parametrize("reaction", [500.0, 300_000.0])
def test_half_a_second_and_five_minutes_are_neither_fast_nor_slow(reaction: float) -> None:
    protocol = protocol_of()
    reads, happened = clean(protocol)
    reads[6] = seen_as_sent(reads[6], reaction_ms=reaction)
    assert deviations(reads, freeze(protocol), happened) == []


def test_files_of_a_pair_are_told_left_and_right() -> None:
    seen = Endpoint(name="seen", role="primary", measure="detection", task="choice", arm=ATTACKED)
    protocol = protocol_of(cases=3, tasks=("choice",), copies=1, endpoints=(seen,))
    reads, happened = clean(protocol, lambda *_: choice(True))
    right = replace(reads[1], side="right", answer=choice(False))
    assert deviations([reads[0], right, reads[2]], freeze(protocol), happened)[0].kind == "other-bytes"
    turned = seen_as_sent(right, sha256=(right.trial.beside, right.trial.image))
    assert deviations([reads[0], turned, reads[2]], freeze(protocol), happened) == []


def test_readers_who_stopped_or_were_shut_out() -> None:
    protocol = protocol_of()
    reads, happened = clean(protocol)
    short = Person("R1", 80, "2026-11-21T13:00:00+00:00", "left the hospital", DISPLAY, tuple(range(1, 41)))
    found = deviations(reads[:40], freeze(protocol), replace(happened, people=(short, Person("R2", 80))))
    assert kinds(found) == {"fewer-readers": "warning", "unfinished": "warning", "revoked": "warning"}
    assert [item.message for item in found if item.kind == "unfinished"] == [
        "R1 answered 40 of 80 trials.",
        "R2 answered 0 of 80 trials.",
    ]
    assert "left the hospital" in next(item.message for item in found if item.kind == "revoked")


def test_answers_out_of_order_and_a_trail_that_does_not_hold_are_severe() -> None:
    protocol = protocol_of()
    reads, happened = clean(protocol)
    person = replace(happened.people[0], order=(2, 1, *range(3, 81)))
    found = deviations(reads, freeze(protocol), Happened(people=(person,), faults=("record 3 was changed",)))
    assert kinds(found) == {"trail-unsound": "severe", "out-of-order": "severe"}
    assert doubts(protocol, endpoints(reads, protocol), found)[0].severity == "severe"


def test_corrections_and_silence_about_the_display() -> None:
    protocol = protocol_of()
    reads, happened = clean(protocol)
    old, new = {"label": "tumour"}, {"label": "normal"}
    corrected = tuple(Correction("R1", place, old, new, "wrong key", "2026-11-21T12:00:00+00:00") for place in (3, 9))
    person = replace(happened.people[0], display={})
    found = deviations(reads, freeze(protocol), Happened(people=(person,), corrections=corrected))
    assert kinds(found) == {"corrected": "info", "display-unknown": "info"}
    assert found[0].evidence["corrections"][0] == {"place": 3, "old": old, "new": new, "reason": "wrong key"}
    many = Happened(people=happened.people, corrections=corrected * 5)
    assert kinds(deviations(reads, freeze(protocol), many)) == {"corrected": "warning"}


def test_washouts() -> None:
    protocol = protocol_of(washout_days=14)
    reads, happened = clean(protocol)
    late = [
        replace(read, session=2, saved=read.saved.replace("2026-11-21", "2026-11-25")) if read.number > 40 else read
        for read in reads
    ]
    (found,) = deviations(late, freeze(protocol), happened)
    assert (found.kind, found.severity) == ("washout-short", "severe")
    assert found.message == "Session 2 of R1 began 4 days after the one before; 14 were asked."
    override = Override("R1", 2, "leaves", "2026-11-25T00:00:00+00:00")
    (told,) = deviations(late, freeze(protocol), replace(happened, overrides=(override,)))
    assert (told.kind, told.severity) == ("washout-overridden", "warning")


@pytest.mark.parametrize(("hour", "severity"), [(11, "info"), (13, "warning")])
def test_amendments_before_and_after_the_first_answer(hour: int, severity: str) -> None:
    protocol = protocol_of()
    reads, happened = clean(protocol)
    now = datetime(2026, 11, 21, hour, tzinfo=UTC)
    frozen = amend(freeze(protocol), {"title": "Another"}, who="me", reason="a typo", now=now)
    (found,) = deviations(reads, frozen, happened)
    assert (found.kind, found.severity, found.evidence["fields"]) == ("amended", severity, ["title"])


def test_attention_and_memory() -> None:
    arms = (
        Arm(kind="original"),
        Arm(kind="adversarial", size=SIZE),
        Arm(kind="visible", size="linf=64/255"),
        Arm(kind="identical"),
    )
    seen = Endpoint(name="seen", role="primary", measure="detection", task="same", arm=ATTACKED)
    protocol = protocol_of(cases=4, tasks=("same", "manipulation"), arms=arms, endpoints=(seen,), copies=1)

    def answer(reader, trial, truth):
        if trial.task == "manipulation":
            return rated(2)
        # Visible changes pass for none, identical pairs for changed ones.
        return same(trial.arm != "identical")

    reads, happened = clean(protocol, answer)
    found = {item.kind: item for item in deviations(reads, freeze(protocol), happened)}
    assert (found["visible-missed"].count, found["visible-missed"].evidence["shown"]) == (8, 8)
    assert (found["identical-called-different"].count, found["identical-called-different"].severity) == (4, "warning")
    known = diagnosis("tumour").model_copy(update={"seen": True})
    foote_protocol = protocol_of(cases=2)
    again, told = clean(foote_protocol, lambda *_: known)
    assert kinds(deviations(again, freeze(foote_protocol), told)) == {"remembered": "info"}


def test_doubts_about_what_such_a_study_can_show() -> None:
    protocol = protocol_of()
    reads, _ = clean(protocol, lambda *_: diagnosis("tumour"))
    found = doubts(protocol, endpoints(reads, protocol), [])
    assert [item.id for item in found] == ["study-too-small", "study-one-reader", "study-no-noise"]
    # Tango's bound for 20 cases of which none changed: z^2 / (n + z^2). That is the case here, so it is the interval's.
    assert found[0].evidence["bound"] == pytest.approx(3.8415 / 23.8415, abs=1e-4)
    assert found[0].evidence["bound"] == pytest.approx(endpoints(reads, protocol)[0].value.high)
    decided = [item.model_copy(update={"verdict": "non-inferior"}) for item in endpoints(reads, protocol)]
    assert "study-too-small" not in [item.id for item in doubts(protocol, decided, [])]
    shared = protocol_of(patients={number: "p" for number in range(3)})
    assert "study-patients" in [item.id for item in doubts(shared, [], [])]


def test_a_study_of_few_patients_is_told_to_be_too_small_by_its_own_bound() -> None:
    protocol = protocol_of(patients={number: f"p{number % 4}" for number in range(20)})
    reads, _ = clean(protocol, lambda *_: diagnosis("tumour"))
    first = endpoints(reads, protocol)
    found = doubts(protocol, first, [])[0]
    assert found.id == "study-too-small" and found.evidence["worth"] == pytest.approx(4.0)
    assert found.evidence["bound"] == pytest.approx(first[0].value.high)
