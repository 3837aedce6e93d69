"""The whole life of a study in a real browser: every task by the keyboard alone, saved as it was meant."""

from __future__ import annotations

from playwright.sync_api import expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import ARMS, LABELS, make

from percuss.study.access import enrol
from percuss.study.design.key import Key
from percuss.study.design.order import OrderRules
from percuss.study.design.trials import Arm
from percuss.study.tables import AnswerRow, PlaceRow

TASKS = ("diagnosis", "manipulation", "choice", "same")
TITLES = {
    "diagnosis": "Your diagnosis",
    "manipulation": "Was this image changed?",
    "choice": "Which of the two was changed?",
    "same": "The same, or different?",
}
MEANT = {
    "diagnosis": {"label": LABELS[1], "confidence": 4},
    "manipulation": {"rating": 2},
    "choice": {"side": "left"},
    "same": {"same": False},
}


def hashes(study, key: Key, place: PlaceRow) -> list[str]:
    """SHA-256 of the files that stood in a place, left first."""
    return [key.files[name] for name in (place.left_file, place.right_file) if name]


def test_a_whole_study_by_the_keyboard_alone(tmp_path, person) -> None:
    arms = (*ARMS, Arm(kind="identical", tasks=("same",)))
    study, key = make(tmp_path / "study", cases=2, tasks=TASKS, arms=arms, ask_seen=True, rules=OrderRules(distance=1))
    code = enrol(study, "Dr <b>A</b>").code
    with serving(study) as served:
        reader = person(served.address)
        reader.log_in(code)
        total, passed = len(key.trials), []
        for number in range(1, total + 1):
            passed += reader.reach(number)
            expect(reader.page.locator("#question")).to_have_text(f"Image {number} of {total}")
            reader.answer(number, seen="n")
        expect(reader.page.locator("#page h1")).to_have_text("You have finished. Thank you.")
        reader.saved()
        # Each task is explained when its turn comes: nobody who still diagnoses is told of changed images.
        told = [heading for heading in passed if heading != "A good moment for a break"]
        assert told == ["Your display", *(TITLES[task] for task in TASKS)]
        with study.database.read() as session:
            rows = session.scalars(select(AnswerRow)).all()
            places = {row.number: row for row in session.scalars(select(PlaceRow))}
            assert sorted(row.number for row in rows) == list(range(1, total + 1))
            for row in rows:
                place = places[row.number]
                assert row.version == 1 and not row.reason
                assert row.answer == {"task": place.task, "comment": "", "seen": False, **MEANT[place.task]}
                # The browser hashed what it got: these are the very files of the study.
                assert row.shown["sha256"] == hashes(study, key, place)
                assert row.shown["reaction_ms"] > 0 and row.shown["tries"] == 1 and not row.shown["offline"]
                assert row.shown["view"] == [1280, 800] and row.shown["pixel_ratio"] == 1
                assert row.shown["zoom_first"] == row.shown["zoom_last"] >= 1


def test_nothing_is_sent_before_all_is_chosen(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", cases=2)
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        # No answer, a key of nothing, a diagnosis that there is not, a diagnosis without confidence.
        for keys, said in (
            ((), "Please choose a diagnosis."),
            (("z",), "Please choose a diagnosis."),
            (("3",), "Please choose a diagnosis."),
            (("2",), "Please choose: How confident are you?"),
        ):
            for key in (*keys, "Enter"):
                reader.page.keyboard.press(key)
            expect(reader.page.locator("#problem")).to_have_text(said)
        with study.database.read() as session:
            assert session.scalars(select(AnswerRow)).all() == []
