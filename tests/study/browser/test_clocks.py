"""The reader's clock is wrong: what counts is the server's."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.study.app.served import serving
from tests.study.reading import two_sessions

from percuss.study.access import enrol

HOUR = 60 * 60 * 1000
#: The clock is wrong by so many milliseconds; what measures how long something took runs as before. Timers are noted.
WRONG = """
  const now = Date.now, later = window.setTimeout;
  Date.now = () => now() + %d;
  window.delays = [];
  window.setTimeout = (act, time) => { window.delays.push(time); return later(act, time); };
"""


@pytest.mark.parametrize("ahead", [-24 * HOUR, 24 * HOUR], ids=["behind", "ahead"])
def test_a_wash_out_is_told_and_ends_by_the_servers_clock(tmp_path, person, ahead: int) -> None:
    study = two_sessions(tmp_path, washout=0.5)
    with serving(study) as served:
        reader = person(served.address)
        reader.page.add_init_script(WRONG % ahead)
        reader.begin(enrol(study, "A").code)
        for number in range(1, 7):
            reader.answer(number)
        expect(reader.page.locator("#page")).to_contain_text("in about 12 hours")
        # Neither asked for again every second, nor not at all.
        assert 11 * HOUR < max(reader.page.evaluate("delays.filter((time) => time > 0)")) < 12.1 * HOUR
