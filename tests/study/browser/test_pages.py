"""The pages around the trials: personal link, wash-out, the administrator's progress, on phones and large screens."""

from __future__ import annotations

import pytest
from playwright.sync_api import Response, expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import LABELS, make

from percuss.study.access import enrol
from percuss.study.design.order import OrderRules
from percuss.study.tables import SlotRow

LEVELS = 4095
SCREENS = {
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "device_scale_factor": 3,
        "is_mobile": True,
        "has_touch": True,
    },
    "phone-lying": {"viewport": {"width": 740, "height": 360}, "device_scale_factor": 3, "is_mobile": True},
    "desktop": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
}


def test_a_wash_out_is_waited_for_and_can_be_ended_with_a_reason(tmp_path, person) -> None:
    rules = OrderRules(distance=2, sessions=2, together=2)
    study, key = make(tmp_path / "study", cases=2, rules=rules, washout_days=14)
    code, boss_code = enrol(study, "Dr A").code, enrol(study, "Boss", role="administrator").code
    first = sum(place.session == 1 for place in _order(study))
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        for number in range(1, first + 1):
            reader.answer(number)
        heading = reader.page.locator("#page h1")
        expect(heading).to_have_text("This session is complete. Thank you.")
        expect(reader.page.locator("#page")).to_contain_text(f"You have answered {first} of {len(key.trials)}.")
        expect(reader.page.locator("#page")).to_contain_text("in about 14 days")
        # Neither coming back nor asking again opens the next session.
        reader.page.reload()
        expect(heading).to_have_text("This session is complete. Thank you.")
        reader.tab_to("#go")
        reader.page.evaluate("document.querySelector('#page').firstChild.id = 'before'")
        reader.page.keyboard.press("Enter")
        reader.page.locator("#before").wait_for(state="detached")
        expect(heading).to_have_text("This session is complete. Thank you.")

        boss = person(served.address)
        replies: list[Response] = []
        boss.page.on("response", lambda reply: replies.append(reply) if "/admin/" in reply.url else None)
        boss.log_in(boss_code, to="/admin")
        row = boss.page.locator("#readers tr").filter(has_text="Dr A")
        expect(row).to_contain_text(f"{first} of {len(key.trials)}")
        expect(row).to_contain_text("Wash-out until")
        row.get_by_role("button", name="End wash-out …").press("Enter")
        expect(boss.page.locator("#act-reason")).to_be_focused()
        boss.tab_to("#act-do")
        boss.page.keyboard.press("Enter")
        expect(boss.page.locator("#act-problem")).to_have_text("Please give a reason.")
        expect(boss.page.locator("#act-reason")).to_be_focused()
        boss.page.keyboard.type("on leave next week")
        boss.tab_to("#act-do")
        boss.page.keyboard.press("Enter")
        expect(row).not_to_contain_text("Wash-out until")
        # That button is gone; whoever works by the keyboard stays with the reader.
        expect(row.get_by_role("button").first).to_be_focused()
        # Progress and no answers: neither on the page nor in what was sent for it.
        told = boss.page.locator("body").inner_text() + " ".join(reply.text() for reply in replies if reply.ok)
        assert "Dr A" in told and not any(
            label in told.lower() for label in (*LABELS, "confidence", "adversarial", "case-")
        )

        reader.tab_to("#go")
        reader.page.keyboard.press("Enter")
        expect(heading).to_have_text("Your diagnosis")
        for number in range(first + 1, len(key.trials) + 1):
            reader.reach(number)
            reader.answer(number)
        expect(heading).to_have_text("You have finished. Thank you.")
        reader.saved()


def test_a_personal_link_logs_in_when_its_button_is_pressed(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", cases=2)
    token = enrol(study, "Dr A").link_token
    with serving(study) as served:
        reader = person(served.address)
        reader.page.goto(f"{served.address}/r/{token}")
        assert reader.page.context.cookies() == []
        expect(reader.page.locator("#begin")).to_be_focused()
        reader.page.keyboard.press("Enter")
        reader.page.wait_for_url(f"{served.address}/read")
        (cookie,) = reader.page.context.cookies()
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and token not in cookie["value"]
        assert token not in reader.page.url
        # Nothing that a script can read holds the cookie, and going back does not show the link again.
        assert reader.page.evaluate("document.cookie") == ""
        reader.reach(1)


@pytest.mark.parametrize("screen", SCREENS)
def test_no_page_is_wider_than_the_screen(tmp_path, person, screen: str) -> None:
    labels = ("normal", "tumour", "a longer name of a finding, as pathologists write them", "borderline")
    study, key = make(
        tmp_path / "study",
        cases=1,
        tasks=("diagnosis", "choice"),
        shape=(1, 200, 300),
        levels=LEVELS,
        labels=labels,
        ask_seen=True,
        rules=OrderRules(distance=1),
        title="Do experts see what flips the model? A study of 12 bit",
    )
    code = enrol(study, "Dr A. Reader of the second hospital").code
    boss_code = enrol(study, "Boss", role="administrator").code

    def look(name: str) -> None:
        who.page.screenshot(path=tmp_path / f"{screen}-{name}.png")
        assert not who.scrolls_sideways(), name

    with serving(study) as served:
        who = person(served.address, **SCREENS[screen])
        who.page.goto(f"{served.address}/")
        look("entry")
        who.log_in(code)
        expect(who.page.locator("#page h1")).to_have_text("Your display")
        look("display")
        who.go_on("Your display")
        expect(who.page.locator("#page h1")).to_have_text("Your diagnosis")
        look("instructions")
        who.reach(1)
        look("diagnosis")
        # What answers is in reach without the keyboard, and saves.
        for name in ("label", "confidence", "seen"):
            who.page.locator(f'label.option:has(input[name="{name}"])').nth(1).click()
        who.page.locator("#save").click()
        who.ready(2)
        who.saved()
        assert who.page.locator("#stage").bounding_box()["y"] >= 0, "the next image is out of sight"
        who.page.keyboard.press("?")
        look("keys")
        who.page.keyboard.press("Escape")
        for number in (2, 3):
            who.answer(number, seen="n")
        who.reach(4)
        look("choice")
        for number in range(4, len(key.trials) + 1):
            who.answer(number, seen="n")
        expect(who.page.locator("#page h1")).to_have_text("You have finished. Thank you.")
        look("finished")
        who = person(served.address, refused=(404,), **SCREENS[screen])
        who.page.goto(f"{served.address}/nothing-here")
        look("error")
        who.log_in(boss_code, to="/admin")
        expect(who.page.locator("#readers tr")).to_have_count(2)
        look("admin")
        assert who.words_cut("caption, #readers th, #readers td, #readers button") == []


def _order(study) -> list[SlotRow]:
    """The places of the first order that was drawn."""
    with study.database.read() as session:
        return list(session.scalars(select(SlotRow).where(SlotRow.slot == 0)))
