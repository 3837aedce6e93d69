"""Keyboards of other scripts: a letter is known by its place where the keyboard writes no Latin ones."""

from __future__ import annotations

from playwright.sync_api import expect
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol

PRESS = """([key, code, shift]) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, code, shiftKey: shift, bubbles: true, cancelable: true })
)"""


def test_a_russian_and_a_greek_keyboard_answer_and_invert(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", tasks=("same",))
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        chosen = reader.page.locator('input[name="same"]:checked')
        # S and D in Russian, S and D in Greek; capitals are no answer.
        for key, code, value in (("ы", "KeyS", "true"), ("в", "KeyD", "false"), ("σ", "KeyS", "true")):
            reader.page.evaluate(PRESS, [key, code, False])
            expect(chosen).to_have_value(value)
        reader.page.evaluate(PRESS, ["Δ", "KeyD", True])
        expect(chosen).to_have_value("true")
        reader.page.evaluate(PRESS, ["ш", "KeyI", False])
        expect(reader.page.locator("#invert")).to_have_attribute("aria-pressed", "true")
        reader.page.evaluate(PRESS, ["с", "KeyC", False])
        expect(reader.page.locator("#comment")).to_be_focused()
        # A Latin keyboard in another order is taken by its letters, not by their places.
        reader.page.keyboard.press("Escape")
        reader.page.evaluate(PRESS, ["d", "KeyE", False])
        expect(chosen).to_have_value("false")
