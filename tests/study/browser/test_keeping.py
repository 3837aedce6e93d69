"""Where a browser keeps answers on their way: its database, else its local storage, else nothing, which is said."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.tables import AnswerRow

NO_DATABASE = "Object.defineProperty(window, 'indexedDB', {value: undefined});"
NO_STRINGS = "Object.defineProperty(window, 'localStorage', {get: () => { throw new Error('blocked'); }});"
TOLD = "This browser keeps nothing over a closed page: please wait for “Saved” before closing."
#: The first connection to the database is dropped for good, as some browsers do while a page sleeps.
DROPPED = """() => {
  const whole = IDBDatabase.prototype.transaction;
  let dropped = null;
  IDBDatabase.prototype.transaction = function () {
    dropped = dropped || this;
    if (this === dropped) {
      throw new DOMException('The database connection is closing.', 'InvalidStateError');
    }
    return whole.apply(this, arguments);
  };
}"""


def numbers(study) -> list[int]:
    with study.database.read() as session:
        return sorted(session.scalars(select(AnswerRow.number)))


def test_a_dropped_connection_to_the_browsers_database_is_made_again(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        reader.page.evaluate(DROPPED)
        reader.answer(1)
        reader.ready(2)
        reader.saved()
        assert numbers(study) == [1]


@pytest.mark.parametrize(
    ("without", "told"),
    [
        (NO_DATABASE, ""),
        (
            NO_DATABASE + NO_STRINGS,
            TOLD,
        ),
    ],
    ids=["local-storage", "memory"],
)
def test_answers_without_a_connection_are_kept_all_the_same(tmp_path, person, without, told) -> None:
    study, _ = make(tmp_path / "study")
    with serving(study) as served:
        reader = person(served.address, cut=True)
        reader.page.add_init_script(without)
        reader.begin(enrol(study, "A").code)
        assert reader.page.locator("#notice").inner_text() == told
        reader.has(pictures=3)
        reader.page.context.set_offline(True)
        reader.answer(1)
        reader.ready(2)
        expect(reader.page.locator("#status")).to_contain_text("1 answer kept here")
        if not told:
            assert reader.page.evaluate("Object.keys(localStorage).filter(key => key.includes('answer:')).length") == 1
        assert reader.page.locator("#notice").inner_text() == told
        reader.page.context.set_offline(False)
        reader.saved()
        assert numbers(study) == [1]


#: A disk that takes no answer any more; what is small still finds room.
FULL = """() => {
  const put = window.put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (value, key) {
    if (key.startsWith("answer:")) {
      throw new DOMException("The disk is full.", "QuotaExceededError");
    }
    return put.apply(this, arguments);
  };
}"""
ROOM = "() => { IDBObjectStore.prototype.put = window.put; }"


def test_a_full_disk_stops_nobody_and_is_said(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study")
    with serving(study) as served:
        reader = person(served.address, cut=True)
        reader.begin(enrol(study, "A").code)
        reader.has(pictures=3)
        notice = reader.page.locator("#notice")
        expect(notice).to_be_hidden()
        reader.page.evaluate(FULL)
        reader.page.context.set_offline(True)
        reader.answer(1)
        reader.answer(2)
        reader.ready(3)
        expect(reader.page.locator("#status")).to_contain_text("2 answers kept here")
        expect(notice).to_have_text(TOLD)
        reader.page.context.set_offline(False)
        reader.saved()
        assert numbers(study) == [1, 2]
        reader.page.evaluate(ROOM)
        reader.answer(3)
        reader.ready(4)
        expect(notice).to_be_hidden()
