"""Answers that the server does not take: set aside and said so; never for what a browser tells of itself."""

from __future__ import annotations

from playwright.sync_api import expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.closing import close
from percuss.study.tables import AnswerRow


def stored(study) -> list[AnswerRow]:
    with study.database.read() as session:
        return list(session.scalars(select(AnswerRow).order_by(AnswerRow.number)))


def test_an_answer_to_a_study_that_was_closed_is_set_aside(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    with serving(study) as served:
        # The image after the next may be asked for in vain: nothing is served any more.
        reader = person(served.address, refused=(404,))
        reader.begin(enrol(study, "A").code)
        reader.answer(1)
        reader.ready(2)
        reader.saved()
        close(study, who="Admin", reason="enough")
        reader.answer(2)
        title = reader.page.locator("#page:not([hidden]) h1")
        expect(title).to_have_text("An answer was not taken")
        expect(reader.page.locator("#page")).to_contain_text("Image 2: ")
        reader.go_on("An answer was not taken")
        expect(title).to_have_text("This study is closed")
        assert [row.number for row in stored(study)] == [1]


def test_what_a_browser_says_of_itself_costs_no_answer(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    with serving(study) as served:
        reader = person(served.address, refused=(422,))
        reader.begin(enrol(study, "A").code)
        reader.page.evaluate("Date.prototype.toISOString = () => 'x'.repeat(50)")
        reader.answer(1)
        reader.ready(2)
        reader.saved()
        (row,) = stored(study)
        assert (row.answer["label"], row.answer["confidence"]) == ("tumour", 4)
        assert (row.shown["client_time"], row.shown["reaction_ms"], row.shown["tries"]) == ("", None, 2)
