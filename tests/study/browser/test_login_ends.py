"""A login that ends in the middle: the answer waits for the code; whoever else logs in does not get it."""

from __future__ import annotations

from playwright.sync_api import expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol, renew, revoke
from percuss.study.tables import AnswerRow, ReaderRow


def answers(study) -> dict[str, list[int]]:
    """Numbers answered, by name of reader."""
    with study.database.read() as session:
        rows = session.execute(
            select(ReaderRow.name, AnswerRow.number).join(AnswerRow, AnswerRow.reader == ReaderRow.id)
        )
        found = sorted((name, number) for name, number in rows)
    return {name: [number for other, number in found if other == name] for name, _ in found}


def test_the_answer_waits_for_the_code(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        reader.has(pictures=3)
        again = renew(study, "A", who="Admin", reason="a letter lost").code
        reader.answer(1)
        field = reader.page.locator("#again-code")
        expect(field).to_be_focused()
        expect(reader.page.locator("#status")).to_have_text("1 answer kept here until you have logged in again")
        reader.page.keyboard.type(code)
        reader.page.keyboard.press("Enter")
        expect(reader.page.locator("#again-problem")).to_contain_text("not known")
        assert answers(study) == {}
        field.fill("")
        reader.page.keyboard.type(again)
        reader.page.keyboard.press("Enter")
        reader.ready(2)
        reader.saved()
        reader.answer(2)
        reader.ready(3)
        reader.saved()
        assert answers(study) == {"A": [1, 2]}


def test_somebody_else_does_not_get_it(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    first, second = (enrol(study, name).code for name in "AB")
    with serving(study) as served:
        # The one refusal: the token of a page that is no longer this browser's.
        reader = person(served.address, refused=(403,))
        reader.begin(first)
        reader.has(pictures=3)
        other = type(reader)(reader.page.context.new_page(), served.address)
        other.begin(second)
        reader.page.bring_to_front()
        reader.answer(1)
        expect(reader.page.locator("#page h1")).to_have_text("Another reader has logged in")
        assert answers(study) == {}
        other.answer(1)
        other.ready(2)
        other.saved()
        assert answers(study) == {"B": [1]}
        # The first reader comes back: the kept answer is theirs, and is sent.
        reader.log_in(first)
        reader.reach(2)
        reader.saved()
        assert answers(study) == {"A": [1], "B": [1]}


def test_revoked_in_the_middle(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        revoke(study, "A", who="Admin", reason="left")
        reader.answer(1)
        expect(reader.page.locator("#again-code")).to_be_focused()
        assert answers(study) == {}
