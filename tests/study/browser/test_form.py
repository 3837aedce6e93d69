"""The form of a trial with more diagnoses than fit: what is chosen, what is missing and what is next is in sight."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.design.order import OrderRules

LABELS = ("normal", "tumour", *(f"a finding of kind {number}, and its name is rather long" for number in range(10)))
SCREENS = {
    "phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2},
    "phone-lying": {"viewport": {"width": 740, "height": 360}, "device_scale_factor": 2},
    "laptop-at-150": {"viewport": {"width": 853, "height": 533}, "device_scale_factor": 1.5},
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}


@pytest.fixture
def read(tmp_path, person):
    """Somebody at the first trial of a study with twelve diagnoses."""
    study, _ = make(tmp_path / "study", cases=1, labels=LABELS, rules=OrderRules(distance=1), shape=(3, 300, 400))
    with serving(study) as served:

        def begin(**screen):
            reader = person(served.address, **screen)
            reader.begin(enrol(study, "A").code)
            return reader

        yield begin


@pytest.mark.parametrize("screen", ["phone", "desktop"])
def test_what_is_missing_is_said_in_sight_with_its_field(read, screen: str) -> None:
    reader = read(**SCREENS[screen])
    expect(reader.page.locator("#problem")).to_be_hidden()  # empty, it takes no room
    reader.page.locator("#save").click()
    expect(reader.page.locator("#problem")).to_be_in_viewport(ratio=1)
    field = reader.page.locator('input[name="label"]').first
    expect(field).to_be_focused()
    expect(field).to_be_in_viewport(ratio=1)
    last = reader.page.locator('input[name="label"]').last
    last.focus()
    free = reader.page.locator(".ending").bounding_box()["y"]
    box = last.bounding_box()
    assert box["y"] + box["height"] <= free, "behind the bar"


@pytest.mark.parametrize("screen", ["phone-lying", "laptop-at-150"])
def test_the_image_and_what_a_key_chose_are_seen_at_once(read, screen: str) -> None:
    reader = read(**SCREENS[screen])
    for key, name in (("Shift+Digit4", "confidence"), ("1", "label"), ("9", "label"), ("Shift+Digit1", "confidence")):
        reader.page.keyboard.press(key)
        chosen = reader.page.locator(f'.option.chosen:has(input[name="{name}"])')
        expect(chosen).to_be_in_viewport(ratio=1)
        box, bar = chosen.bounding_box(), reader.page.locator(".ending").bounding_box()
        assert box["y"] + box["height"] <= bar["y"], key
        expect(reader.page.locator("#stage")).to_be_in_viewport(ratio=1)
    assert reader.page.locator("#stage").bounding_box()["height"] >= 200
    # Where there is no key there is no empty box for one.
    assert reader.page.locator(".option kbd").count() == 9 + 5
    reader.page.keyboard.press("Enter")
    reader.ready(2)
    expect(reader.page.locator("#question")).to_be_in_viewport(ratio=1)


def test_forced_colours_leave_the_surround_grey_and_tell_what_is_chosen(read) -> None:
    reader = read(**SCREENS["desktop"], forced_colors="active")
    reader.page.keyboard.press("2")
    reader.page.keyboard.press("i")
    expect(reader.page.locator("#stage")).to_have_css("background-color", "rgb(119, 119, 119)")
    for told in (".option.chosen", "#invert"):
        expect(reader.page.locator(told)).to_have_css("outline-style", "solid")


@pytest.mark.parametrize("screen", ["phone-lying", "laptop-at-150"])
def test_short_choices_are_not_cut_where_the_form_is_narrow(tmp_path, person, screen: str) -> None:
    study, _ = make(tmp_path / "study", cases=2, tasks=("same",), ask_seen=True)
    with serving(study) as served:
        reader = person(served.address, **SCREENS[screen])
        reader.begin(enrol(study, "A").code)
        assert reader.words_cut(".option .text") == []
