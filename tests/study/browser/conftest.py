"""A real Chromium, found by its name, and people who use it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.study.browser.person import Person
from tests.study.conftest import absent

#: Milliseconds that a page may take for anything: a machine that runs every test at once is slow.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--no-sandbox",  # a container has no user namespaces, and nothing but our own pages is opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser; ends with the module, since Playwright's event loop stands in the way of others."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        absent("Chromium", "PERCUSS_CHROMIUM", "chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def person(browser: Browser) -> Iterator[Callable[..., Person]]:
    """Somebody with a browser of their own: ``person(url, cut=False, refused=(), **of the context)``.

    At the end of the test nobody may have seen a fault: an error of the page, a breach of its content security policy,
    a request to another server.
    """
    people: list[Person] = []

    def come(url: str, *, cut: bool = False, refused: tuple[int, ...] = (), **context) -> Person:
        page = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context}).new_page()
        page.set_default_timeout(PATIENCE)
        people.append(Person(page, url, cut=cut, refused=refused))
        return people[-1]

    yield come
    for each in people:
        each.page.context.close()
    assert [fault for each in people for fault in each.faults] == []
