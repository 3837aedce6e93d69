"""The administrator's page by the keyboard: rows are made anew, dialogs hold the focus, nobody loses their place."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol


@pytest.fixture
def boss(tmp_path, person):
    """An administrator of a study with two readers, at the page of progress."""
    study, _ = make(tmp_path / "study", cases=2)
    for name in ("Dr A", "Dr B"):
        enrol(study, name)
    code = enrol(study, "Boss", role="administrator").code
    with serving(study) as served:
        boss = person(served.address)
        boss.log_in(code, to="/admin")
        expect(boss.page.locator("#readers tr")).to_have_count(3)
        yield boss


def test_the_page_looks_again_and_the_focus_stays_where_it_was(boss) -> None:
    button = boss.page.locator("#readers tr").filter(has_text="Dr B").get_by_role("button", name="New code …")
    button.focus()
    boss.page.evaluate("document.querySelector('#readers').firstChild.id = 'before'")
    # What the page does by itself every half minute.
    boss.page.evaluate("document.getElementById('refresh').click()")
    boss.page.locator("#before").wait_for(state="detached")
    expect(button).to_be_focused()
    button.press("Enter")
    expect(boss.page.locator("#act-title")).to_have_text("New code for Dr B")
    boss.page.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_tab_stays_inside_a_dialog_and_a_closed_study_leaves_the_focus_on_the_page(boss) -> None:
    boss.tab_to("#close")
    boss.page.keyboard.press("Enter")
    expect(boss.page.locator("#act-reason")).to_be_focused()
    for key, name in (("Tab", "do"), ("Tab", "cancel"), ("Tab", "reason"), ("Shift+Tab", "cancel")):
        boss.page.keyboard.press(key)
        expect(boss.page.locator(f"#act-{name}")).to_be_focused()
    boss.page.locator("#act-reason").fill("enough")
    boss.tab_to("#act-do")
    boss.page.keyboard.press("Enter")
    expect(boss.page.locator("#state")).to_contain_text("The study is closed.")
    expect(boss.page.locator("#refresh")).to_be_focused()
