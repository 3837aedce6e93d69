"""Pages left in the middle: loaded again while an answer is on its way, gone back to, closed while a draft is open."""

from __future__ import annotations

from playwright.sync_api import Route, expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.tables import AnswerRow


def numbers(study) -> list[int]:
    with study.database.read() as session:
        return sorted(session.scalars(select(AnswerRow.number)))


def test_a_reload_while_an_answer_is_on_its_way(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    held: list[Route] = []

    def hold(route: Route) -> None:
        # The first never leaves the browser, even after the reload; were it let go, its reply could be in time for it.
        if held:
            route.continue_()
        else:
            held.append(route)

    with serving(study) as served:
        reader = person(served.address, cut=True)
        reader.begin(enrol(study, "A").code)
        reader.page.route("**/api/v1/answers", hold)
        reader.answer(1)
        expect(reader.page.locator("#status")).to_have_text("Saving …")
        while not held:
            reader.page.wait_for_timeout(10)
        assert numbers(study) == []
        reader.page.reload()
        assert reader.reach(2) == []
        reader.saved()
        assert numbers(study) == [1]


def test_going_back_and_forth_leads_to_the_same_image_with_what_was_chosen(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        reader.answer(1)
        reader.ready(2)
        reader.page.keyboard.press("1")
        reader.page.keyboard.press("c")
        reader.page.keyboard.type("a remark")
        reader.page.goto(f"{served.address}/healthz")
        reader.page.go_back()
        assert reader.reach(2) == []
        expect(reader.page.locator('input[name="label"]:checked')).to_have_value("normal")
        expect(reader.page.locator("#comment")).to_have_value("a remark")
        reader.page.go_forward()
        reader.page.go_back()
        reader.reach(2)
        reader.answer(2, "Shift+Digit3")
        reader.ready(3)
        reader.saved()
        assert numbers(study) == [1, 2]
