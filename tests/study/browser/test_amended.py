"""A protocol amended while somebody reads: the trial on the screen stays, the following ones have what is new."""

from __future__ import annotations

from playwright.sync_api import expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.amending import amend_study
from percuss.study.tables import AnswerRow


def test_new_labels_come_between_two_trials_without_loading_the_page_again(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        labels = reader.page.locator('input[name="label"]')
        reader.page.keyboard.press("2")
        amend_study(
            study, {"labels": ["normal", "tumour", "unsure"], "title": "Renamed"}, who="Eve", reason="asked for"
        )
        expect(labels).to_have_count(2)
        reader.answer(1, "Shift+Digit4")
        reader.ready(2)
        reader.saved()  # so the page knows of it; the second trial may have been ahead of that
        reader.answer(2, "1", "Shift+Digit4")
        reader.ready(3)
        expect(labels).to_have_count(3)
        expect(reader.page.locator("#name")).to_have_text("Renamed")
        reader.answer(3, "3", "Shift+Digit4")
        reader.ready(4)
        reader.saved()
    with study.database.read() as session:
        given = session.scalars(select(AnswerRow.answer).order_by(AnswerRow.number)).all()
    assert [answer["label"] for answer in given] == ["tumour", "normal", "unsure"]


def test_a_trial_begun_under_labels_that_are_gone_is_saved(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        reader.page.keyboard.press("1")
        cases = [("tumour" if number % 2 else "healthy", number) for number in range(4)]
        amend_study(
            study, {"labels": ["healthy", "tumour"], "cases": renamed(study, cases)}, who="Eve", reason="a word"
        )
        reader.answer(1, "Shift+Digit4")
        reader.ready(2)
        reader.saved()
        with study.database.read() as session:
            assert session.scalars(select(AnswerRow.answer)).one()["label"] == "normal"


def renamed(study, truths):
    """The cases of the study with other truths."""
    from percuss.study.design.protocol import in_force
    from percuss.study.seal import load_key

    cases = in_force(load_key(study.folder).frozen).cases
    return [{**cases[number].model_dump(mode="json"), "truth": truth} for truth, number in truths]
