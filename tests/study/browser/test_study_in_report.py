"""The audit's report with a reader study, in a real browser: from the disk, offline, wide, narrow and printed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.pipeline.answered import answered, audited
from tests.pipeline.conftest import TISSUE, fitted

from percuss.core.model import Model, ModelInfo
from percuss.data.spec import load_data
from percuss.pipeline.audit import rebuild

WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Address of the page, on the disk."""
    home, tissue = tmp_path_factory.mktemp("seen"), load_data(TISSUE)
    judged = Model(fitted(*tissue.tensors()), ModelInfo("colour", "classify", ("normal", "tumour"), 3, weights="given"))
    run = audited(home / "run", tissue, judged).path
    study = answered(run, home / "study", (tissue, judged), title="Do they see it?")
    return rebuild(run, studies=[study]).report.as_uri()


@pytest.fixture(params=WIDTHS)
def page(request, browser, report):
    """The page in a window of this width, without a network; at the end nothing was fetched and nothing went wrong."""
    context = browser.new_context(viewport={"width": request.param, "height": 800}, offline=True)
    opened, asked, faults = context.new_page(), [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(report)
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith("data:")] == [report] and faults == []


def test_the_section_is_found_from_the_contents_and_fits_the_window(page):
    names = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(names) == len(set(names))
    page.get_by_role("navigation").get_by_role("link", name="Reader study").click()
    section = page.locator("#reader-study")
    expect(section.get_by_role("heading", name="Reader study", exact=True)).to_be_in_viewport()
    expect(section.locator("svg.chart").first).to_be_visible()
    for folded in section.locator("summary").all():
        folded.evaluate("one => one.parentElement.open = true")
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1]
    # What is wider than the section lies in a box of its own that can be moved.
    beyond = section.evaluate(
        """section => {
          const end = section.getBoundingClientRect().right + 1;
          return [...section.querySelectorAll('*')].filter(one => !one.closest('.scroll, svg')
            && one.getBoundingClientRect().right > end).map(one => one.outerHTML.slice(0, 80));
        }"""
    )
    assert beyond == []


def test_folded_parts_open_by_keyboard_and_are_printed(page):
    agreement = page.locator("#reader-study-agreement")
    table, summary = agreement.locator("table").first, agreement.locator("summary").first
    expect(table).not_to_be_visible()
    summary.press("Enter")
    expect(table).to_be_visible()
    summary.press("Enter")
    expect(table).not_to_be_visible()
    page.emulate_media(media="print")
    expect(table).to_be_visible()
    expect(page.locator("#filters")).not_to_be_visible()
