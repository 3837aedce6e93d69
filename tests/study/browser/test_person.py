"""What a person in a test complains of: errors, breaches of the content security policy, requests to other servers."""

from __future__ import annotations

import pytest
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol

PLANTED = {
    "ERR_CONNECTION_RESET": "fetch('/reset').catch(() => null)",
    "error: lost": "console.error('lost')",
    "error: broken": "setTimeout(() => { throw new Error('broken'); }, 0)",
    "script-src": "document.body.appendChild(document.createElement('script')).textContent = 'window.grown = 1'",
    "style-src": "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">red</p>')",
    "connect-src": "fetch('http://127.0.0.2:9/telling').catch(() => null)",
}
#: Milliseconds: how long a fault may take to be noticed, and how often that is looked at.
PATIENCE, STEP = 30_000, 20


def heard(who, words: str) -> None:
    """Wait until a fault with these words is noticed."""
    for _ in range(PATIENCE // STEP):
        if any(words in fault for fault in who.faults):
            return
        who.page.wait_for_timeout(STEP)
    pytest.fail(f"{words} is not noticed: {who.faults}")


def test_every_kind_of_fault_is_noticed(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", cases=2)
    code = enrol(study, "A").code
    with serving(study) as served:
        who = person(served.address)
        who.begin(code)
        assert who.faults == []
        who.page.route("**/reset", lambda route: route.abort("connectionreset"))
        for words, planted in PLANTED.items():
            who.page.evaluate(f"() => {{ {planted}; }}")
            heard(who, words)
            # What a page says arrives in its order: a refused style is said twice, and both times before this.
            who.page.evaluate("() => console.error('and that is all')")
            heard(who, "and that is all")
            who.faults.clear()
        assert who.page.evaluate("window.grown") is None
        who.page.route("http://127.0.0.2:9/", lambda route: route.fulfill(body="another server"))
        who.page.goto("http://127.0.0.2:9/")
        assert who.faults == ["a request to elsewhere: http://127.0.0.2:9/"]
        who.faults.clear()


def test_that_the_server_of_a_test_has_ended_is_no_fault_of_the_page(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", cases=2)
    with serving(study) as served:
        who = person(served.address)
        who.begin(enrol(study, "A").code)
    with who.page.expect_console_message(lambda message: "ERR_CONNECTION_REFUSED" in message.text):
        who.page.evaluate("fetch('/healthz').catch(() => null)")
    assert who.faults == []
