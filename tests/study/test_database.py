"""The database of a study, SQLite and a real PostgreSQL: turns, refusals, and what never is written down."""

import gc
import itertools
import json
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from contextlib import closing

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from tests.study.small_study import make

from percuss.core.errors import RunError, UsageError
from percuss.study.database import open_database, sqlite_url, stored_url
from percuss.study.opening import open_study
from percuss.study.tables import AnswerRow, OverrideRow, PlaceRow, ReaderRow, SlotRow, StudyRow, TrailRow
from percuss.study.trail import Event, record
from percuss.study.verification.trail_lines import verify_lines
from percuss.study.verification.whole import verify_study


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


@pytest.fixture
def study(url, tmp_path):
    made, _ = make(tmp_path / "study", cases=2, slots=2, database=url)
    yield made
    made.database.close()


def fill(study):
    """A reader with a place, an answer and an override, as rows alone."""
    with study.database.write() as session:
        slot = session.get(SlotRow, (0, 1))
        session.add(
            ReaderRow(id=1, name="A", role="reader", slot=0, code_hash="c", link_hash="l", enrolled="t", revoked=None)
        )
        session.flush()
        session.add(
            PlaceRow(
                reader=1,
                number=1,
                token="t",
                session=1,
                trial=slot.trial,
                task=slot.task,
                left_token="l",
                left_file=slot.left_file,
                right_token=None,
                right_file="",
            )
        )
        session.flush()
        session.add(
            AnswerRow(id="i", reader=1, number=1, version=1, answer={"a": 1}, shown={}, reason="", saved="t", record=1)
        )
        session.add(OverrideRow(reader=1, session=2, who="B", reason="r", time="t", record=1))


@pytest.mark.parametrize("table", ["trail", "slots", "answers", "places", "overrides"])
def test_what_is_written_stays(study, table):
    fill(study)
    column = {"trail": "line", "slots": "trial", "answers": "reason", "places": "trial", "overrides": "reason"}[table]
    acts = [f"UPDATE {table} SET {column} = 'x'", f"DELETE FROM {table}"]
    if study.database.engine.dialect.name == "sqlite":
        acts.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1")
    else:
        acts.append(f"TRUNCATE {table} CASCADE")
    for act in acts:
        with pytest.raises(DBAPIError, match="only grows"), study.database.write() as session:
            session.execute(text(act))
    with study.database.read() as session:
        assert session.scalar(text(f"SELECT count(*) FROM {table}")) > 0
        assert session.scalar(text(f"SELECT count(*) FROM {table} WHERE {column} = 'x'")) == 0


def test_another_program_cannot_replace_a_row_by_any_of_its_unique_columns(tmp_path):
    """SQLite's REPLACE removes what is in the way, without a DELETE trigger: here a program that sets no pragma."""
    study, _ = make(tmp_path / "study", cases=2, slots=2)
    fill(study)
    unique = {
        "trail": [("number",), ("hash",)],
        "slots": [("slot", "number")],
        "answers": [("id",), ("reader", "number", "version"), ("record",)],
        "places": [("reader", "number"), ("token",), ("left_token",)],
        "overrides": [("reader", "session"), ("record",)],
    }
    with closing(sqlite3.connect(study.folder.database_path)) as raw:
        for table, sets in unique.items():
            there = raw.execute(f"SELECT * FROM {table}").fetchall()
            columns = [column for _, column, *_ in raw.execute(f"PRAGMA table_info({table})")]
            for same in sets:
                fresh = [f"{column}" if column in same else f"'9' || {column}" for column in columns]
                with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                    raw.execute(f"INSERT OR REPLACE INTO {table} SELECT {', '.join(fresh)} FROM {table} LIMIT 1")
                assert raw.execute(f"SELECT * FROM {table}").fetchall() == there
    study.database.close()


def test_a_row_written_twice_is_refused(study):
    fill(study)
    with study.database.read() as session:
        answer = session.get(AnswerRow, "i")
    values = {name: getattr(answer, name) for name in ("reader", "number", "answer", "shown", "reason", "saved")}
    for own in ({"id": "i", "version": 2, "record": 1}, {"id": "j", "version": 1, "record": 1}):
        with pytest.raises((IntegrityError, DBAPIError)), study.database.write() as session:
            session.add(AnswerRow(**values, **own))


def test_an_error_undoes_all_of_its_transaction(study):
    with pytest.raises(ZeroDivisionError), study.database.write() as session:
        session.get(StudyRow, 1).state = "closed"
        record(session, Event(who="A", what="b"))
        raise ZeroDivisionError
    with study.database.read() as session:
        assert session.get(StudyRow, 1).state == "open"
        assert session.scalar(select(func.count()).select_from(TrailRow)) == 1


def write_meanwhile(database, who, others):
    """Records of one thread for as long as the other processes run."""
    while any(process.poll() is None for process in others):
        with database.write() as session:
            record(session, Event(who=who, what="answer"))
        time.sleep(0.01)


#: Another process: what a second server, or a command beside a running server, does.
WRITER = """
import sys
from pathlib import Path
from percuss.study.opening import open_study
from percuss.study.trail import Event, record
study = open_study(Path(sys.argv[1]), database=sys.argv[2] or None)
for number in range(15):
    with study.database.write() as session:
        record(session, Event(who=sys.argv[3], what=f"answer {number}"))
"""


def test_threads_and_processes_keep_one_chain(study, url):
    command = [sys.executable, "-c", WRITER, str(study.folder.path), url or ""]
    others = [subprocess.Popen([*command, f"process {number}"]) for number in range(2)]
    threads = [threading.Thread(target=write_meanwhile, args=(study.database, f"thread {n}", others)) for n in range(4)]
    for writer in threads:
        writer.start()
    for writer in threads:
        writer.join()
    assert [process.wait() for process in others] == [0, 0]
    with study.database.read() as session:
        lines = list(session.scalars(select(TrailRow.line).order_by(TrailRow.number)))
    assert verify_lines(lines).sound
    counts = Counter(json.loads(line)["who"] for line in lines)
    assert counts["process 0"] == counts["process 1"] == 15 and all(counts[f"thread {n}"] for n in range(4))
    turns = [json.loads(line)["who"] for line in lines if json.loads(line)["who"] != "server"]
    assert sum(one != two for one, two in itertools.pairwise(turns)) > 15  # they did write at once


def test_each_database_holds_one_study(study, tmp_path, url):
    whole = url or sqlite_url(study.folder.database_path)
    with pytest.raises(RunError, match=r"holds a study already.*database of its own"):
        make(tmp_path / "second", cases=2, slots=1, database=whole)
    with pytest.raises(UsageError, match="there is no such folder"):
        open_study(tmp_path / "second")
    third, _ = make(tmp_path / "third", cases=2, slots=1)
    third.database.close()
    with pytest.raises(RunError, match="holds another study"):
        open_study(tmp_path / "third", database=whole)
    (tmp_path / "empty.db").touch()
    with pytest.raises(RunError, match="holds no study"):
        open_study(tmp_path / "third", database=sqlite_url(tmp_path / "empty.db"))
    with pytest.raises(RunError, match="the database of the study is missing"):
        open_study(tmp_path / "third", database=sqlite_url(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()


def test_of_two_studies_written_at_once_into_a_database_one_is_refused(study, tmp_path, url, monkeypatch):
    whole = url or sqlite_url(study.folder.database_path)
    monkeypatch.setattr("percuss.study.creating._check_empty", lambda _: None)  # both looked before either wrote
    with pytest.raises(RunError, match=f"holds a study already.*{study.info.id}"):
        make(tmp_path / "second", cases=2, slots=1, database=whole)
    assert not (tmp_path / "second").exists() and verify_study(study).sound


def test_a_password_is_nowhere_in_the_study(postgresql_url, tmp_path, monkeypatch):
    monkeypatch.delenv("PERCUSS_STUDY_DATABASE_PASSWORD")
    study, _ = make(tmp_path / "study", cases=2, slots=1, database=postgresql_url)
    secret = postgresql_url.split("://")[1].split("@")[0].split(":")[1]
    assert study.info.database == stored_url(f"{postgresql_url}?password={secret}")
    assert secret not in study.info.database and study.info.database.startswith(
        "postgresql+pg8000://percuss@127.0.0.1:"
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5 and not any(secret.encode() in path.read_bytes() for path in files)
    assert secret not in repr(study)
    study.database.close()
    monkeypatch.setenv("PERCUSS_STUDY_DATABASE_PASSWORD", "wrong")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the driver leaves the socket of a refused login open
        with pytest.raises(RunError, match=r"cannot be used.*PERCUSS_STUDY_DATABASE_PASSWORD") as caught:
            open_study(tmp_path / "study")
        assert secret not in str(caught.value)
        del caught
        gc.collect()
    monkeypatch.setenv("PERCUSS_STUDY_DATABASE_PASSWORD", secret)
    open_study(tmp_path / "study").database.close()
    monkeypatch.delenv("PERCUSS_STUDY_DATABASE_PASSWORD")
    monkeypatch.setenv("PERCUSS_STUDY_DATABASE", postgresql_url)
    open_study(tmp_path / "study").database.close()


def test_a_database_that_cannot_be_used_says_so(tmp_path):
    with pytest.raises(RunError, match="cannot be used"):
        open_database("postgresql+pg8000://nobody:pass@127.0.0.1:1/none")
    with pytest.raises(RunError, match=r"cannot be used.*in a folder that can be written") as caught:
        open_database(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    assert "PASSWORD" not in str(caught.value)
    for wrong, says in (("just text", "no URL"), ("mysql://a@b/c", "no such kind")):
        with pytest.raises(UsageError, match=says):
            open_database(wrong)
    (tmp_path / "text.db").write_text("this is no database, and long enough to be sure of it" * 100)
    with pytest.raises(RunError, match="cannot be used"):
        open_database(sqlite_url(tmp_path / "text.db"))


def test_a_missing_file_is_not_replaced_by_an_empty_one(tmp_path):
    study, _ = make(tmp_path / "study", cases=2, slots=1)
    study.database.close()
    for file in tmp_path.glob("study/study.db*"):
        file.unlink()
    with pytest.raises(RunError, match=r"database of the study is missing.*restore"):
        open_study(tmp_path / "study")
    assert not study.folder.database_path.exists()


@pytest.mark.parametrize("name", ["was it seen?", "100%41", "a#b", "it's", "é&ü=ö", "a@b:c"])
def test_a_study_may_lie_in_a_folder_of_any_name(tmp_path, name):
    study, _ = make(tmp_path / name, cases=2)
    assert study.info.id == open_study(tmp_path / name, database=study.database.url).info.id
    study.database.close()
    assert (tmp_path / name / "study.db").stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name}.key"])


def test_commits_of_sqlite_are_on_the_disk(tmp_path):
    study, _ = make(tmp_path / "study", cases=2, slots=1)
    for session_of in (study.database.read, study.database.write):
        with session_of() as session:
            told = [session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]
            assert told == ["wal", 2, 1]
    study.database.close()


def test_a_writer_within_a_writer_is_an_error_and_no_hang(tmp_path, monkeypatch):
    monkeypatch.setattr("percuss.study.database.WAIT", 0.3)
    study, _ = make(tmp_path / "study", cases=2, slots=1)
    with pytest.raises(RunError, match="cannot be used"), study.database.write() as outer:
        record(outer, Event(who="A", what="b"))
        with study.database.write() as inner:
            record(inner, Event(who="A", what="c"))
    with study.database.write() as session:
        assert record(session, Event(who="A", what="d")).number == 2
    study.database.close()


def test_a_writer_has_its_turn_before_it_asks_for_anything(study):
    """What goes with the database but not into it, such as an amendment's files, is then no other's business either."""
    with study.database.write() as held:
        assert held.in_transaction()
        if study.database.engine.dialect.name == "sqlite":
            locked = pytest.raises(sqlite3.OperationalError, match="locked")
            with closing(sqlite3.connect(study.folder.database_path, timeout=0)) as other, locked:
                other.execute("BEGIN IMMEDIATE")
        else:
            with pytest.raises(DBAPIError), study.database.engine.begin() as other:
                other.execute(select(StudyRow.id).with_for_update(nowait=True))


def test_creating_is_refused_where_something_is(tmp_path):
    study, _ = make(tmp_path / "study", cases=2, slots=1)
    study.database.close()
    with pytest.raises(UsageError, match="a place of its own"):
        make(tmp_path / "study", cases=2, slots=1)
    (tmp_path / "other.key").write_bytes(b"")
    with pytest.raises(UsageError, match=r"a place of its own.*other\.key"):
        make(tmp_path / "other", cases=2, slots=1)
    assert not (tmp_path / "other").exists()
