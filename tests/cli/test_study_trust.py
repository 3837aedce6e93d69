"""percuss study verify, amend and export: what vouches for a study, on a small one."""

import json
import sqlite3

import pytest
from sqlalchemy import text
from tests.study.reading import enrolled, read, two_sessions

from percuss.study.closing import close
from percuss.study.seal import load_key
from percuss.study.trail import Head


@pytest.fixture
def study(tmp_path):
    opened = two_sessions(tmp_path)
    read(opened, enrolled(opened), 1, 3)
    yield opened
    opened.database.close()


def touch(study, statement):
    """Write past the app and its triggers, as somebody who has the file can; the triggers are there again after it."""
    with sqlite3.connect(study.folder.database_path) as raw:
        made = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in made:
            raw.execute(f"DROP TRIGGER {name}")
        raw.executescript(statement)
        for _, sql in made:
            raw.execute(sql)
    raw.close()


def test_a_sound_study_ends_with_nought(percuss, study):
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert done.stdout.startswith("sound: ") and "3 answers" in done.stdout
    found = json.loads(percuss("study", "verify", study.folder.path, "--json").stdout)
    assert found["sound"] and found["first"] is None and found["with_key"]
    head = f"{found['head']['number']}:{found['head']['hash']}"
    assert percuss("study", "verify", study.folder.path, "--head", head).exit_code == 0


def test_the_first_touched_record_is_named(percuss, study):
    touch(study, "UPDATE trail SET line = replace(line, 'Ada', 'Eve') WHERE number = 3")
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 1 and "NOT sound" in done.stdout and "record 3 was changed" in done.stdout
    done = percuss("study", "verify", study.folder.path, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1 and (found["first"]["number"], found["head"]["number"]) == (3, 2)


def test_an_answer_changed_behind_the_trail_shows(percuss, study):
    touch(study, "UPDATE answers SET answer = replace(answer, 'tumour', 'normal') WHERE number = 2")
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 1 and "answer" in done.stdout


def test_an_export_is_no_study_that_was_touched(percuss, study, tmp_path):
    close(study, who="administrator", reason="all have read")
    out = tmp_path / "my files"
    assert percuss("study", "export", study.folder.path, "--out", out).exit_code == 0
    done = percuss("study", "verify", out)
    assert done.exit_code == 2 and done.stdout == "" and "this is an export, not a study" in done.stderr
    assert f"percuss study verify '{out / 'trail.jsonl'}'" in " ".join(done.stderr.split())
    assert percuss("study", "verify", out / "trail.jsonl").exit_code == 0


def test_a_trigger_that_was_dropped_is_named(percuss, study):
    with study.database.write() as session:
        session.execute(text("DROP TRIGGER answers_no_delete"))
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 1 and "trigger answers_no_delete, which keeps rows as they are, is missing" in done.stdout
    assert done.stdout.count("\n  ") == 1, done.stdout


@pytest.mark.parametrize("value", ["'no JSON'", "'[1]'", "12", "X'00FF'", "''"])
def test_an_answer_that_cannot_be_read_any_more_is_named(percuss, study, value):
    touch(study, f"UPDATE answers SET answer = {value} WHERE number = 2")
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 1 and "answer 2 of reader 1, version 1: not as it was written" in done.stdout, done.stderr


@pytest.mark.parametrize("what", ["version = 'x'", "saved = 7", "record = 'x'", "reader = 99"])
def test_columns_of_another_kind_are_faults_too(percuss, study, what):
    touch(study, f"PRAGMA foreign_keys = OFF; UPDATE answers SET {what} WHERE number = 2")
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 1 and "fault of Percuss" not in done.stderr, done.stderr


def test_bytes_turned_on_the_disk_never_look_like_a_fault_of_ours(percuss, study):
    study.database.close()
    path = study.folder.database_path
    whole = path.read_bytes()
    found = set()
    for at in range(100, len(whole) - 64, len(whole) // 24):
        path.write_bytes(whole[:at] + bytes(byte ^ 0x55 for byte in whole[at : at + 64]) + whole[at + 64 :])
        done = percuss("study", "verify", study.folder.path)
        found.add(done.exit_code)
        assert "fault of Percuss" not in done.stderr, (at, done.stderr)
    path.write_bytes(whole)
    assert 1 in found and percuss("study", "verify", study.folder.path).exit_code == 0


def test_a_trail_written_anew_shows_against_a_head_noted_elsewhere(percuss, study):
    done = percuss("study", "verify", study.folder.path, "--head", "3:" + "0" * 64)
    assert done.exit_code == 1 and "record 3 was rewritten" in done.stdout
    for wrong in ("3", "3:abc", "x:" + "0" * 64):
        done = percuss("study", "verify", study.folder.path, "--head", wrong)
        assert done.exit_code == 2 and "N:HASH" in done.stderr


def test_without_the_secret_less_is_looked_at_and_said(percuss, study, tmp_path):
    moved = study.folder.secret_path.rename(tmp_path / "elsewhere.key")
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 0 and "the key was not at hand" in done.stdout
    done = percuss("study", "verify", study.folder.path, "--secret", moved)
    assert done.exit_code == 0 and "not at hand" not in done.stdout


def test_a_touched_key_is_a_fault_and_another_secret_an_error(percuss, study):
    whole, secret = study.folder.sealed.read_bytes(), study.folder.secret_path.read_bytes()
    study.folder.sealed.write_bytes(whole[:-1] + b"x")
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 1 and "sealed.bin: not as it was written" in done.stdout
    study.folder.sealed.write_bytes(whole)
    study.folder.secret_path.write_bytes(secret[::-1])
    done = percuss("study", "verify", study.folder.path)
    assert done.exit_code == 2 and "secret" in done.stderr


@pytest.mark.parametrize("name", ["study.json", "protocol.json", "study.db"])
@pytest.mark.parametrize("how", ["spoilt", "removed"])
def test_a_study_that_cannot_be_opened_any_more_is_not_sound(percuss, study, name, how):
    study.database.close()
    path = study.folder.path / name
    path.unlink() if how == "removed" else path.write_bytes(b"{" + path.read_bytes())
    done = percuss("study", "verify", study.folder.path, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 1 and not found["sound"] and found["faults"][0].startswith(f"{name}: "), done.stderr
    assert percuss("study", "verify", study.folder.path.parent / "nowhere").exit_code == 2


def test_export_after_closing_and_its_trail_by_itself(percuss, study, tmp_path):
    out = tmp_path / "out"
    done = percuss("study", "export", study.folder.path, "--out", out)
    assert done.exit_code == 2 and "percuss study close" in " ".join(done.stderr.split())
    head = close(study, who="administrator", reason="done")
    done = percuss("study", "export", study.folder.path, "--out", out)
    assert done.exit_code == 0 and "answers.csv" in done.stdout and "manifest.json" in done.stdout, done.stderr
    noted = f"{head.number}:{head.hash}"
    assert percuss("study", "verify", out / "trail.jsonl", "--head", noted).exit_code == 0
    lines = (out / "trail.jsonl").read_bytes().splitlines(keepends=True)
    (out / "trail.jsonl").write_bytes(b"".join(lines[:-1]))
    assert percuss("study", "verify", out / "trail.jsonl").exit_code == 0
    done = percuss("study", "verify", out / "trail.jsonl", "--head", noted)
    assert done.exit_code == 1 and f"record {head.number} was removed" in done.stdout
    told = json.loads(percuss("study", "export", study.folder.path, "--out", tmp_path / "again", "--json").stdout)
    assert len(told["files"]["answers.csv"]) == 64


def test_amendments_are_added_and_tell_what_changed(percuss, study):
    folder = study.folder.path
    wash = ("study", "amend", folder, "--set", "washout_days=21", "--reason", "the ward asked", "--who", "Dr B")
    done = percuss(*wash)
    assert done.exit_code == 0 and "amendment 1 (washout_days) is in force" in done.stdout, done.stderr
    public = study.folder.public()
    assert public.washout_days == 21 and public.amendments[0].who == "Dr B"
    told = json.loads(percuss("study", "amend", folder, "--set", "title=Readings", "--reason", "r", "--json").stdout)
    assert (told["number"], told["fields"]) == (2, ["title"]) and study.folder.public().title == "Readings"
    assert percuss("study", "verify", folder).exit_code == 0


def test_more_readers_are_made_room_for(percuss, study):
    folder, why = study.folder.path, ("--reason", "two join")
    planned = study.public.readers
    done = percuss("study", "amend", folder, "--more-readers", "2", *why)
    assert done.exit_code == 0 and "amendment 1 (readers) is in force" in done.stdout, done.stderr
    wanted = max(planned, 1) + 2
    assert f"2 more can be enrolled; {wanted} are planned from now on" in done.stdout
    assert study.folder.public().readers == wanted and percuss("study", "verify", folder).exit_code == 0
    both = percuss("study", "amend", folder, "--more-readers", "2", "--set", "target=0.8", *why)
    assert both.exit_code == 2 and "two amendments at once" in both.stderr
    none = percuss("study", "amend", folder, *why)
    assert none.exit_code == 2 and "an amendment of nothing" in none.stderr


@pytest.mark.parametrize("change", ["endpoints=[]", 'labels=["a"]', 'labels=["normal","a"]', "target=2", "cases=[]"])
def test_an_amendment_that_does_not_hold_shows_nothing_that_is_sealed(percuss, study, change):
    frozen = load_key(study.folder).frozen.protocol
    done = percuss("study", "amend", study.folder.path, "--set", change, "--reason", "r", "--verbose")
    told = done.stdout + done.stderr
    assert done.exit_code == 2 and "fault of Percuss" not in told, told
    sealed = [f"'seed': {frozen.seed}", "patient-", *(sha for case in frozen.cases for sha in case.images.values())]
    assert [word for word in sealed if word in told] == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("washout_days", "FIELD=VALUE"),
        ("=3", "FIELD=VALUE"),
        ("wash_out=3", "washout_days"),
        ("copies=3", "copies"),
        ("washout_days=14", "changes nothing"),
    ],
)
def test_what_cannot_be_amended_is_refused(percuss, study, change, named):
    done = percuss("study", "amend", study.folder.path, "--set", change, "--reason", "why not")
    assert done.exit_code == 2 and named in done.stderr and "fault of Percuss" not in done.stderr
    assert Head.model_validate(json.loads(percuss("study", "status", study.folder.path, "--json").stdout)["head"])
    assert study.folder.public().amendments == ()
