"""What scripts rely on: JSON alone on stdout where a command has it, exit codes, and a full disk that harms nothing."""

import errno
import inspect
import json

import pytest
from sqlalchemy import event
from tests.study.reading import enrolled, read, two_sessions

from percuss.cli.study import study as commands
from percuss.store import safe
from percuss.study import database

WHY = ("--reason", "r")
#: A life in which each command has its turn, and what its JSON must hold.
LIFE = [
    ("status", (), {"title", "state", "trials", "readers", "head"}),
    ("plan", (), {"study"}),
    ("enrol", ("--name", "Ben"), {"name", "role", "code", "link"}),
    ("override", ("--name", "Ben", "--session", 2, *WHY), {"name", "session", "overridden"}),
    ("revoke", ("--name", "Ben", *WHY), {"name", "revoked"}),
    ("renew", ("--name", "Ben", *WHY), {"name", "role", "code", "link"}),
    ("amend", ("--set", "washout_days=3", *WHY), {"number", "fields", "hash", "who", "reason"}),
    ("verify", (), {"sound", "faults", "head", "first", "records", "answers"}),
    ("close", WHY, {"state", "head"}),
    ("results", (), {"arms", "endpoints", "agreement", "thresholds", "deviations"}),
    ("export", ("--out", "files"), {"out", "files"}),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = two_sessions(tmp_path)
    read(opened, enrolled(opened), 1, 3)
    opened.database.close()
    return opened.folder.path


def no_number(text):
    raise ValueError(f"{text} is no JSON")


def test_json_stands_alone_on_stdout(percuss, folder):
    for act, more, fields in LIFE:
        done = percuss("study", act, folder, *more, "--json")
        assert done.exit_code == 0, (act, done.stderr)
        assert set(json.loads(done.stdout, parse_constant=no_number)) >= fields, act
        assert done.stdout.count("\n") == 1, act


def test_every_command_but_the_server_has_json():
    with_json = {
        command.name
        for command in commands.registered_commands
        if "as_json" in inspect.signature(command.callback).parameters
    }
    named = {command.name for command in commands.registered_commands}
    assert named - with_json == {"serve"} and with_json - {"create"} == {act for act, _, _ in LIFE}


def test_what_fails_leaves_stdout_empty(percuss, folder):
    for act, more, _ in LIFE:
        if act in ("plan", "status"):
            continue
        wrong = [("x" if word in ("Ben", "washout_days=3") else " " if word == "r" else word) for word in more]
        if act in ("results", "export", "verify", "enrol"):
            wrong += {"verify": ("--head", "x"), "enrol": ("--role", "x")}.get(act, ())
        done = percuss("study", act, folder, *wrong, "--json")
        assert done.exit_code == 2 and done.stdout == "" and done.stderr.startswith("percuss: "), (act, done.stdout)
    assert percuss("study", "verify", folder).exit_code == 0


@pytest.fixture
def full(monkeypatch):
    """A disk that takes no more files; what is there can be read."""

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(safe.tempfile, "mkstemp", refuse)
        yield patched


def test_closed_on_a_full_disk_the_same_command_notes_the_end_later(percuss, folder, full):
    done = percuss("study", "close", folder, *WHY)
    assert done.exit_code == 2 and "the disk is full" in done.stderr and done.stdout == ""
    assert not (folder / "closed.json").exists()
    full.undo()
    done = percuss("study", "verify", folder)
    assert done.exit_code == 1 and f"percuss study close {folder} --reason WHY" in done.stdout
    assert percuss("study", "close", folder, *WHY).exit_code == 0
    assert percuss("study", "verify", folder).exit_code == 0


@pytest.mark.parametrize("act", ["results", "export"])
def test_on_a_full_disk_the_same_command_succeeds_later(percuss, folder, tmp_path, monkeypatch, act):
    assert percuss("study", "close", folder, *WHY).exit_code == 0
    command = ("study", act, folder, *(("--out", tmp_path / "files") if act == "export" else ()))
    whole, count = safe.tempfile.mkstemp, []

    def second_time(*given, **named):
        count.append(given)
        if len(count) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(safe.tempfile, "mkstemp", second_time)
        done = percuss(*command)
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2 and ("the disk is full" in said or "No space left" in said) and len(count) == 2
    assert percuss(*command).exit_code == 0


@pytest.mark.parametrize("act", ["enrol", "revoke", "override", "amend", "close"])
def test_a_database_that_is_full_has_done_nothing(percuss, folder, monkeypatch, act):
    more = dict((name, options) for name, options, _ in LIFE)[act]
    more = tuple("Ada" if word == "Ben" and act != "enrol" else word for word in more)
    # What the trail records is some pages long, so that the file has to grow.
    more = tuple("r" * 20_000 if word == "r" else word for word in (*more, *(("--who", "r") if act == "enrol" else ())))
    prepare = database._prepare_sqlite

    def no_larger(engine):
        prepare(engine)

        @event.listens_for(engine, "connect")
        def _connect(raw, _):
            pages = raw.execute("PRAGMA page_count").fetchone()[0]
            raw.execute(f"PRAGMA max_page_count={pages}").close()

    with monkeypatch.context() as patched:
        patched.setattr(database, "_prepare_sqlite", no_larger)
        done = percuss("study", act, folder, *more)
        assert done.exit_code == 2 and done.stdout == "", done.stderr
        assert "database or disk is full" in done.stderr and "not full" in " ".join(done.stderr.split())
    assert percuss("study", "verify", folder).exit_code == 0
    assert percuss("study", act, folder, *more).exit_code == 0
    assert percuss("study", "verify", folder).exit_code == 0
