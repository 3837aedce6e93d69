"""Reloads, lost connections, lost replies and killed servers: every answer is counted once, and nobody is stopped."""

from __future__ import annotations

from playwright.sync_api import Route, expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.tables import AnswerRow


def stored(study) -> dict[int, AnswerRow]:
    """Answers by their place; more than one of a place fails."""
    with study.database.read() as session:
        rows = session.scalars(select(AnswerRow)).all()
    assert len({row.number for row in rows}) == len(rows)
    return {row.number: row for row in rows}


def test_a_reload_comes_back_to_the_same_trial_and_keeps_what_was_chosen(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        reader.answer(1)
        reader.ready(2)
        reader.page.keyboard.press("1")
        expect(reader.page.locator('input[name="label"]').first).to_be_checked()
        reader.page.reload()
        assert reader.reach(2) == []
        expect(reader.page.locator('input[name="label"]').first).to_be_checked()
        reader.answer(2, "Shift+Digit5")
        reader.ready(3)
        reader.saved()
        assert {number: row.answer["label"] for number, row in stored(study).items()} == {1: "tumour", 2: "normal"}


def test_answers_without_a_connection_are_kept_and_counted_once(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address, cut=True)
        reader.begin(code)
        reader.answer(1)
        reader.ready(2)
        reader.saved()
        reader.has(pictures=4)
        reader.page.context.set_offline(True)
        # The two images ahead are here already: reading goes on.
        reader.answer(2)
        reader.answer(3)
        reader.ready(4)
        expect(reader.page.locator("#status")).to_contain_text("2 answers kept here")
        reader.answer(4)
        expect(reader.page.locator("#page h1")).to_have_text("Waiting for the connection")
        assert list(stored(study)) == [1]
        reader.page.context.set_offline(False)
        reader.ready(5)
        reader.saved()
        rows = stored(study)
        assert sorted(rows) == [1, 2, 3, 4]
        assert [rows[number].shown["offline"] for number in (1, 2, 3, 4)] == [False, True, True, True]


def test_answers_survive_a_page_closed_without_a_connection(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address, cut=True)
        reader.begin(code)
        reader.has(pictures=3)
        context = reader.page.context
        context.set_offline(True)
        reader.answer(1)
        reader.ready(2)
        expect(reader.page.locator("#status")).to_contain_text("1 answer kept here")
        reader.page.close()
        context.set_offline(False)
        assert stored(study) == {}
        again = type(reader)(context.new_page(), served.address)
        again.page.goto(f"{served.address}/read")
        again.reach(2)
        again.saved()
        assert list(stored(study)) == [1] and again.faults == []


def test_an_answer_whose_reply_is_lost_is_sent_again_and_counted_once(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    arrived = []

    def lose(route: Route) -> None:
        arrived.append(route.fetch().status)
        # Once the line breaks, then a proxy answers in the server's place.
        if len(arrived) == 1:
            route.abort("connectionreset")
        else:
            route.fulfill(status=502, body="")

    with serving(study) as served:
        reader = person(served.address, cut=True)
        reader.begin(code)
        reader.page.route("**/api/v1/answers", lose)
        reader.answer(1)
        reader.ready(2)
        expect(reader.page.locator("#status")).to_contain_text("1 answer kept here")
        assert list(stored(study)) == [1]
        reader.answer(2)
        reader.ready(3)
        expect(reader.page.locator("#status")).to_contain_text("2 answers kept here")
        reader.page.unroute("**/api/v1/answers")
        reader.saved()
        assert len(arrived) > 1 and set(arrived) == {200}
        assert sorted(stored(study)) == [1, 2]


def test_reading_goes_on_after_the_server_was_killed(tmp_path, person, live_server) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    server = live_server(study)
    reader = person(server.url, cut=True)
    reader.begin(code)
    reader.answer(1)
    reader.ready(2)
    reader.has(pictures=3)
    server.kill()
    reader.answer(2)
    reader.ready(3)
    expect(reader.page.locator("#status")).to_contain_text("kept here")
    server.start()
    reader.answer(3)
    reader.ready(4)
    reader.saved()
    assert sorted(stored(study)) == [1, 2, 3]
    study.database.close()


def test_two_readers_at_once_do_not_meet(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    codes = [enrol(study, name).code for name in ("A", "B")]
    with serving(study) as served:
        readers = [person(served.address) for _ in codes]
        for reader, code in zip(readers, codes, strict=True):
            reader.begin(code)
        for number in (1, 2, 3):
            for reader, keys in zip(readers, (("1", "Shift+Digit1"), ("2", "Shift+Digit5")), strict=True):
                reader.answer(number, *keys)
        for reader in readers:
            reader.ready(4)
            reader.saved()
        with study.database.read() as session:
            rows = session.scalars(select(AnswerRow)).all()
        found = {(row.reader, row.number): (row.answer["label"], row.answer["confidence"]) for row in rows}
        first, second = sorted({row.reader for row in rows})
        assert found == {
            (person, number): said
            for person, said in ((first, ("normal", 1)), (second, ("tumour", 5)))
            for number in (1, 2, 3)
        }


def test_a_tab_that_took_over_and_loads_itself_again_is_not_missed(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        # The word of it comes when the other tab has let go already, as it does while it loads itself again.
        reader.page.evaluate("""() => {
          const key = Object.keys(localStorage).find((name) => name.startsWith("reader-study:tab:"));
          const newValue = JSON.stringify({ tab: "other", time: Date.now() });
          window.dispatchEvent(new StorageEvent("storage", { key, newValue }));
        }""")
        expect(reader.page.locator("#page h1")).to_have_text("Open in another tab")


def test_one_reader_in_two_tabs_reads_in_one(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        reader.answer(1)
        reader.ready(2)
        reader.saved()
        other = type(reader)(reader.page.context.new_page(), served.address)
        other.page.goto(f"{served.address}/read")
        other.go_on("Open in another tab")
        other.reach(2, after="Open in another tab")
        expect(reader.page.locator("#page h1")).to_have_text("Open in another tab")
        other.answer(2)
        other.ready(3)
        other.saved()
        assert sorted(stored(study)) == [1, 2] and other.faults == []
