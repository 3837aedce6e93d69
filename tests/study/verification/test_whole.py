"""A study that was touched is found out: its trail, its closing, and what shows only against a head noted before."""

import json
import sqlite3
from contextlib import closing

import pytest
from tests.study.reading import at, read
from tests.study.tampering import copied, lines, lived, made_in, number_of, put, rechained, rows, touch

from percuss.study.amending import amend_study
from percuss.study.closing import close
from percuss.study.opening import open_study
from percuss.study.seal import load_key
from percuss.study.trail import Head, read_line
from percuss.study.verification import whole as verifying
from percuss.study.verification.trail_lines import Fault
from percuss.study.verification.whole import verify_study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_in(tmp_path_factory.mktemp("made"))


@pytest.fixture
def study(made, tmp_path):
    """The closed study, to be touched."""
    with copied(made[0], tmp_path / "closed") as study:
        yield study


@pytest.fixture
def running(made, tmp_path):
    """The study before it was closed."""
    with copied(made[1], tmp_path / "running") as study:
        yield study


def test_a_study_that_nobody_touched_is_sound(study, running):
    for one in (study, running):
        for key in (None, load_key(one.folder)):
            verdict = verify_study(one, key=key)
            assert verdict.sound and verdict.faults == () and verdict.answers == 11
            assert verdict.with_key == (key is not None) and verdict.records == verdict.trail.head.number


def test_a_study_on_postgresql_is_judged_alike(postgresql_url, tmp_path):
    study = lived(tmp_path, database=postgresql_url)
    assert verify_study(study, key=load_key(study.folder)).sound
    touch(study, "UPDATE answers SET reason = 'none' WHERE reader = 1 AND version = 2")
    assert verify_study(study).faults == (
        f"answer 6 of Ada, version 2: not as in record {number_of(study, 'correct 6')} of the trail (reason)",
    )
    study.database.close()


TRAIL = {
    "changed": (lambda L, n: [*L[: n - 1], L[n - 1].replace("tumour", "normal"), *L[n:]], "changed"),
    "changed with its own hash": (lambda L, n: [*L[: n - 1], rechained(L, n, new="x")[n - 1], *L[n:]], "changed"),
    "removed": (lambda L, n: [*L[: n - 1], *L[n:]], "removed"),
    "inserted": (lambda L, n: [*L[: n - 1], rechained(L, n, new="x")[n - 1], *L[n - 1 :]], "inserted"),
    "reordered": (lambda L, n: [*L[: n - 1], L[n], L[n - 1], *L[n + 1 :]], "reordered"),
}


@pytest.mark.parametrize("case", TRAIL)
def test_a_trail_that_was_touched_names_its_first_record(study, case):
    act, kind = TRAIL[case]
    number = number_of(study, "answer 3")
    put(study, act(lines(study), number))
    verdict = verify_study(study)
    assert verdict.trail.fault == Fault(kind, number, number) and not verdict.sound
    assert verdict.faults[0] == f"audit trail: record {number} was {kind} (line {number})"


def test_columns_beside_a_record_are_its_own(study):
    touch(study, "UPDATE trail SET hash = 'f' || substr(hash, 2) WHERE number = 4 AND hash NOT LIKE 'f%'")
    assert verify_study(study).faults == ("audit trail: the columns of row 4 are not those of its record",)


def test_an_answer_and_its_record_rewritten_show_against_a_head_noted_before(running, made):
    number = number_of(running, "answer 3")
    new = json.loads(lines(running)[number - 1])["new"]
    new["answer"]["label"] = "normal"
    put(running, rechained(lines(running), number, new=new))
    touch(running, "UPDATE answers SET answer = :a WHERE record = :n", a=json.dumps(new["answer"]), n=number)
    assert verify_study(running).sound  # nothing in the study can tell: who owns the database owns all of it
    assert verify_study(running, head=made[2]).trail.fault == Fault("rewritten", made[2].number, made[2].number)


def test_rewriting_after_the_closing_shows_against_closed_json(study):
    number = number_of(study, "session 1 begins", "Bob")
    put(study, rechained(lines(study), number, time="2026-03-01T09:00:00.000000+00:00"))
    last = len(lines(study))
    assert verify_study(study).faults == (
        f"closed.json: the end of the trail that it notes (record {last}) is not in the trail",
    )


def test_a_cut_tail_shows_against_closed_json_and_a_head(study, running, made):
    put(study, lines(study)[:-1])
    touch(study, "UPDATE study SET state = 'open', closed = NULL")
    assert "closed.json: the end of the trail" in str(verify_study(study).faults)
    put(running, lines(running)[:-1])
    assert verify_study(running, head=made[2]).trail.fault == Fault("removed", made[2].number, made[2].number)
    assert verify_study(running, head=Head(number=1, hash=read_line(lines(running)[0].encode()).hash)).trail.sound


def test_a_restored_backup_is_sound_and_what_it_lacks_shows_against_a_later_head(running):
    copy = running.folder.path.parent / "copy.db"
    with closing(sqlite3.connect(running.folder.database_path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    before = verify_study(running).trail.head
    read(running, rows(running, "SELECT id FROM readers WHERE name = 'Ada'")[0][0], 9, 9, now=at(days=1))
    after = verify_study(running).trail.head
    running.database.close()
    for name in ("study.db-wal", "study.db-shm"):
        (running.folder.path / name).unlink(missing_ok=True)
    copy.replace(running.folder.database_path)
    restored = open_study(running.folder.path)
    assert verify_study(restored, head=before, key=load_key(restored.folder)).sound
    assert verify_study(restored, head=after).trail.fault == Fault("removed", after.number, after.number)
    restored.database.close()


def test_a_study_that_is_closed_while_it_is_verified_is_sound(running, monkeypatch):
    whole = verifying.file_faults

    def in_between(folder, records):
        monkeypatch.setattr(verifying, "file_faults", whole)
        amend_study(running, {"readers": 3}, who="Eve", reason="one more", now=at(days=1))
        close(running, who="Eve", reason="done", now=at(days=2))
        return whole(folder, records)

    monkeypatch.setattr(verifying, "file_faults", in_between)
    assert verify_study(running).faults == ()
