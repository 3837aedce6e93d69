"""The audit trail: what a record keeps, and that it is written with what it vouches for or not at all."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text
from tests.study.small_study import make

from percuss.core.errors import RunError, UsageError
from percuss.study.canonical import canonical, digest
from percuss.study.tables import TrailRow
from percuss.study.trail import Event, head, read_line, record

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=timezone(timedelta(hours=1)))


@pytest.fixture
def database(tmp_path):
    study, _ = make(tmp_path / "study", cases=2, slots=1)
    yield study.database
    study.database.close()


def lines(database):
    with database.read() as session:
        return list(session.scalars(select(TrailRow.line).order_by(TrailRow.number)))


def test_a_record_says_who_what_when_and_why(database):
    with database.write() as session:
        before = head(session)
        made = record(session, Event(who="Zoë", what="answer 1", old="no", new="yes", reason="slip"), now=NOW)
    stored = json.loads(lines(database)[-1])
    assert stored == made.model_dump() and stored["time"] == "2026-11-21T09:30:00.000000+01:00"
    assert (stored["number"], stored["before"], stored["old"], stored["new"]) == (2, before.hash, "no", "yes")
    assert read_line(lines(database)[-1].encode()) == made


def test_the_time_is_the_servers_with_its_zone(database):
    before = datetime.now(UTC)
    with database.write() as session:
        time = datetime.fromisoformat(record(session, Event(who="A", what="b")).time)
        assert time.utcoffset() is not None and before <= time <= datetime.now(UTC)
        with pytest.raises(UsageError, match="without a zone"):
            record(session, Event(who="A", what="b"), now=datetime(2026, 1, 1))


def test_a_record_goes_with_its_transaction(database):
    class Stop(Exception):
        pass

    with pytest.raises(Stop), database.write() as session:
        record(session, Event(who="A", what="b"), now=NOW)
        raise Stop
    assert len(lines(database)) == 1


def test_nothing_is_added_to_a_damaged_end(database):
    with database.write() as session:
        session.execute(text("DROP TRIGGER trail_no_update"))
        session.execute(text("UPDATE trail SET line = 'rubbish' WHERE number = 1"))
    with pytest.raises(RunError, match=r"not written by Percuss.*verify"), database.write() as session:
        record(session, Event(who="A", what="b"))
    assert lines(database) == ["rubbish"]


def test_nothing_is_added_behind_a_record_in_anothers_row(database):
    with database.write() as session:
        session.execute(text("DROP TRIGGER trail_no_update"))
        session.execute(text("UPDATE trail SET number = 5"))
    with pytest.raises(RunError, match="not written by Percuss"), database.write() as session:
        record(session, Event(who="A", what="b"))


def test_values_without_a_form_in_json_are_refused(database):
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(UsageError, match="no form in JSON"), database.write() as session:
            record(session, Event(who="A", what="b", new=value))
    for value in ("\0", "é\n\u2028", {"a": [1, 0.5, None]}):
        with database.write() as session:
            record(session, Event(who="A", what="b", new=value))
        assert json.loads(lines(database)[-1])["new"] == value


def test_canonical_json_is_one_text_for_one_value():
    assert canonical({"b": [1, 0.5, None, True], "a": "é\n"}) == '{"a":"é\\n","b":[1,0.5,null,true]}'
    # SHA-256 of the two bytes {}, as any sha256sum gives it.
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
