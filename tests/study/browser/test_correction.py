"""The last answer can be corrected with a reason; the trial that was open waits, and its clock tells of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.design.order import OrderRules
from percuss.study.tables import AnswerRow


@pytest.fixture
def study(tmp_path):
    return make(
        tmp_path / "study", cases=2, copies=2, rules=OrderRules(distance=1, sessions=2, together=3), washout_days=14
    )[0]


def stored(study) -> list[tuple[int, int, str, str]]:
    """Number, version, label and reason of every answer."""
    with study.database.read() as session:
        rows = session.scalars(select(AnswerRow).order_by(AnswerRow.number, AnswerRow.version)).all()
    return [(row.number, row.version, row.answer["label"], row.reason) for row in rows]


def correct(reader, label: str, reason: str) -> None:
    """By the keyboard: U, the other diagnosis, the reason, save."""
    reader.page.keyboard.press("u")
    expect(reader.page.locator("#question")).to_have_text("Your last answer, to be corrected")
    reader.page.locator("#trial[data-ready]").wait_for()
    reader.page.keyboard.press(label)
    reader.page.keyboard.press("Enter")
    expect(reader.page.locator("#problem")).to_have_text("Please say why the answer is corrected.")
    expect(reader.page.locator("#reason")).to_be_focused()
    reader.page.keyboard.type(reason)
    reader.tab_to("#save")
    reader.page.keyboard.press("Enter")


def test_a_correction_in_the_middle_of_a_trial(study, person) -> None:
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        assert not reader.page.locator("#correct").is_visible()
        reader.answer(1, "1", "Shift+Digit2")
        reader.ready(2)
        reader.saved()
        reader.page.keyboard.press("2")
        reader.page.keyboard.press("u")
        reader.ready(1)
        checked = reader.page.locator('input[name="label"]:checked')
        expect(checked).to_have_value("normal")
        expect(reader.page.locator('input[name="confidence"]:checked')).to_have_value("2")
        reader.tab_to("#cancel")
        reader.page.keyboard.press("Enter")
        reader.ready(2)
        expect(checked).to_have_value("tumour")
        expect(reader.page.locator(".option.chosen input")).to_have_value("tumour")
        correct(reader, "2", "a slip of the finger")
        reader.ready(2)
        expect(checked).to_have_value("tumour")
        reader.answer(2, "Shift+Digit3")
        reader.ready(3)
        reader.saved()
        reason = "a slip of the finger"
        assert stored(study) == [(1, 1, "normal", ""), (1, 2, "tumour", reason), (2, 1, "tumour", "")]
        with study.database.read() as session:
            shown = session.scalars(select(AnswerRow.shown).where(AnswerRow.number == 2)).one()
        assert shown["focus_losses"] == 2
        assert 0 < shown["focus_lost_ms"] < shown["reaction_ms"]


def test_a_correction_on_the_page_between_sessions(study, person) -> None:
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        for number in range(1, 7):
            reader.answer(number, "1", "Shift+Digit2")
        title = reader.page.locator("#page:not([hidden]) h1")
        expect(title).to_have_text("This session is complete. Thank you.")
        correct(reader, "2", "looked again")
        expect(title).to_have_text("This session is complete. Thank you.")
        reader.saved()
        assert stored(study)[-1] == (6, 2, "tumour", "looked again")
