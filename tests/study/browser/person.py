"""Somebody who reads a study in a browser, by the keyboard alone, and complains about every fault the page shows."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from tests.study.app.served import ENDED

#: Keys that answer a task, before Enter.
KEYS = {
    "diagnosis": ("2", "Shift+Digit4"),
    "manipulation": ("2",),
    "choice": ("ArrowLeft",),
    "same": ("d",),
}
#: What a browser says by itself while it has no connection; asked for only where a test cuts the connection.
CUT = re.compile(
    r"net::ERR_(INTERNET_DISCONNECTED|CONNECTION_\w+|EMPTY_RESPONSE|FAILED|SOCKET_NOT_CONNECTED|TIMED_OUT"
    r"|CONTENT_LENGTH_MISMATCH|INCOMPLETE_CHUNKED_ENCODING)"  # cut in the middle of a response
    r"|status of 502 "
)
#: Refusals that the page asks for, of which a browser speaks by itself: no trial is left, the login has ended.
REFUSED = (401, 409)
#: The address of the whole picture of a trial.
PICTURE = re.compile(r"/api/v1/images/[^/]+$")

_WORDS_CUT = """selector => {
  const cut = [];
  for (const element of document.querySelectorAll(selector)) {
    for (const text of Array.from(element.childNodes).filter((node) => node.nodeType === Node.TEXT_NODE)) {
      for (const word of text.data.matchAll(/\\S+/g)) {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const boxes = Array.from(range.getClientRects());
        if (new Set(boxes.map((box) => box.top)).size > 1 || boxes.some((box) => box.right > window.innerWidth)) {
          cut.push(word[0]);
        }
      }
    }
  }
  return cut;
}"""


#: A page that goes on by itself, as while an answer is on its way, has no button and may be gone a moment later.
_SEEN = """([number, last]) => {
  if (document.querySelector(`#trial:not([hidden])[data-ready="${number}"]`)) {
    return { heading: "" };
  }
  const page = document.querySelector("#page:not([hidden])");
  const heading = page && page.querySelector("#go") && page.querySelector("h1");
  return heading && heading.innerText !== last ? { heading: heading.innerText } : null;
}"""


class Person:
    """A page and who sits in front of it.

    Args:
        page: the browser's.
        url: of the server.
        cut: the connection is cut on purpose.
        refused: further statuses of refusals that belong to the test: a browser may speak of them at any later time.
    """

    def __init__(self, page: Page, url: str, *, cut: bool = False, refused: tuple[int, ...] = ()) -> None:
        self.page, self.url, self._cut = page, url.rstrip("/"), cut
        self._refused = re.compile(f"status of ({'|'.join(map(str, (*REFUSED, *refused)))}) ")
        self.faults: list[str] = []
        self._arrived: set[str] = set()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("requestfinished", self._came)

    def log_in(self, code: str, *, to: str = "/read") -> None:
        """Type the code on the first page, and come to the page of a reader or of an administrator."""
        self.page.goto(f"{self.url}/")
        # A browser gives the focus that a page asks for at its first painting, which may come after its loading.
        expect(self.page.locator("#code")).to_be_focused()
        self.page.keyboard.type(code.lower())
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{self.url}{to}")

    def go_on(self, title: str) -> None:
        """Leave a page between trials by its button, reached by Tab."""
        expect(self.page.locator("#page h1")).to_have_text(title)
        self.tab_to("#go")
        self.page.keyboard.press("Enter")

    def tab_to(self, selector: str) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(60):
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {selector}")

    def ready(self, number: int) -> str:
        """Wait for a trial, its image painted; its task."""
        self.page.locator(f'#trial[data-ready="{number}"]').wait_for()
        return str(self.page.locator("#trial").get_attribute("class")).removeprefix("task-")

    def answer(self, number: int, *keys: str, seen: str = "") -> None:
        """Answer a trial with these keys, or those of its task."""
        task = self.ready(number)
        for key in (*(keys or KEYS[task]), *seen, "Enter"):
            self.page.keyboard.press(key)

    def begin(self, code: str) -> None:
        """Log in, pass the display check and the first instructions, and see the first trial."""
        self.log_in(code)
        self.reach(1)

    def reach(self, number: int, *, after: str = "") -> list[str]:
        """Go on until a trial is ready; the headings of the pages before it, without that of one left just before."""
        passed = [after]
        while (heading := self._seen(number, passed[-1])) is not None:
            passed.append(heading)
            self.go_on(heading)
        return passed[1:]

    def _seen(self, number: int, last: str) -> str | None:
        """The heading of a new page that asks to go on, or None once a trial is ready; both looked at in one moment."""
        found = self.page.wait_for_function(_SEEN, arg=[number, last]).json_value()
        return found["heading"] or None

    def saved(self) -> None:
        """Wait until the page says that all is saved."""
        expect(self.page.locator("#status")).to_have_text("Saved")

    def has(self, pictures: int) -> None:
        """Wait until so many pictures have come, those ahead among them: a cut connection keeps no reader from them."""
        while len(self._arrived) < pictures:
            self.page.wait_for_event("requestfinished")

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def words_cut(self, selector: str) -> list[str]:
        """Words that are broken over lines or reach beyond the window, without scrolling sideways."""
        return self.page.evaluate(_WORDS_CUT, selector)

    def _heard(self, message) -> None:
        cut = self._cut or self.url in ENDED
        forgiven = self._refused.search(message.text) or (cut and CUT.search(message.text))
        if message.type in ("error", "warning") and not forgiven:
            self.faults.append(f"{message.type}: {message.text}")

    def _came(self, request) -> None:
        if PICTURE.search(request.url):
            self._arrived.add(request.url)

    def _asked(self, request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"a request to elsewhere: {request.url}")
