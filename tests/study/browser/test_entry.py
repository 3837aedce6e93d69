"""The first pages on a slow line: what is pressed before their scripts are there does no harm, and is not taken."""

from __future__ import annotations

from playwright.sync_api import Route, expect
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol


def slow(page, address: str) -> list[Route]:
    """Open a page whose script is asked for and does not come yet: what is to be let go."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/static/entry.js", hold)
    page.goto(address, wait_until="commit")
    while not held:
        page.wait_for_timeout(10)
    return held


def test_a_code_entered_before_the_script_is_there_stays_in_its_field(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", cases=2)
    code = enrol(study, "Dr A").code
    with serving(study) as served:
        reader = person(served.address)
        (held,) = slow(reader.page, f"{served.address}/")
        field = reader.page.locator("#code")
        expect(field).to_be_focused()
        reader.page.keyboard.type(code)
        reader.page.keyboard.press("Enter")
        expect(reader.page.locator("#begin")).to_be_disabled()
        held.continue_()
        expect(reader.page.locator("#begin")).to_be_enabled()
        # A browser would have sent the code as a part of the address, which is kept in its history.
        assert reader.page.url == f"{served.address}/"
        expect(field).to_have_value(code)
        reader.page.keyboard.press("Enter")
        reader.page.wait_for_url(f"{served.address}/read")


def test_a_link_opened_on_a_slow_line_begins_by_its_button(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", cases=2)
    token = enrol(study, "Dr A").link_token
    with serving(study) as served:
        reader = person(served.address)
        (held,) = slow(reader.page, f"{served.address}/r/{token}")
        expect(reader.page.locator("#begin")).to_be_disabled()
        reader.page.keyboard.press("Enter")
        held.continue_()
        expect(reader.page.locator("#begin")).to_be_focused()
        reader.page.keyboard.press("Enter")
        reader.page.wait_for_url(f"{served.address}/read")
