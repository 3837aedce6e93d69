"""Slips of the finger in the commands of a study: what is said of them, and that nothing comes of them."""

import json
import socket

import pytest
from tests.study.reading import two_sessions

from percuss.study.access import enrol
from percuss.study.closing import close

WHY = ("--reason", "r")
ADA = ("--name", "Ada", *WHY)
#: Every command that takes a study, with what else it needs.
NEEDS = {
    "status": (),
    "verify": (),
    "serve": ("--port", 0),
    "results": (),
    "plan": (),
    "export": ("--out", "files"),
    "close": WHY,
    "enrol": ("--name", "Ben"),
    "revoke": ADA,
    "renew": ADA,
    "override": (*ADA, "--session", 2),
    "amend": ("--set", "washout_days=2", *WHY),
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = two_sessions(tmp_path)
    enrol(opened, "Ada")
    yield opened
    opened.database.close()


@pytest.fixture
def refused(percuss):
    """Calls a command that must be refused with 2, and gives its words on one line."""

    def call(*arguments):
        done = percuss("study", *arguments)
        told = " ".join(done.stderr.split())
        assert done.exit_code == 2 and done.stdout == "", (arguments, done.stdout, told)
        assert told.startswith("percuss: ") and " Next: " in told and "fault of Percuss" not in told, told
        return told

    return call


@pytest.mark.parametrize("act", NEEDS)
def test_what_was_given_instead_of_a_study_is_said(refused, study, tmp_path, act):
    def told(path):
        return refused(act, path, *NEEDS[act])

    assert "no such folder: studi Allowed: study Next: " in told("studi")
    if act != "verify":  # a file may be an exported trail
        assert "is a file, not the folder of a study: study.key Next: give its study: study" in told("study.key")
        assert "give its study: study" in told("study/study.json")
    assert "holds no study: . Allowed: a study within it: study" in told(".")
    run = tmp_path / "a run"
    run.mkdir()
    for name in ("plan.toml", "manifest.json", "results.json"):
        (run / name).write_text("{}")
    assert "the run of an audit, not a study" in told(run) and f"percuss study create '{run}' --out NEW" in told(run)
    close(study, who="me", reason="done")
    out = tmp_path / "export"
    out.mkdir()
    for name in ("study.json", "protocol.json", "trail.jsonl", "manifest.json", "results.json"):
        (out / name).write_text("{}")
    assert "this is an export, not a study" in told(out)


@pytest.mark.parametrize("act", [act for act in NEEDS if act != "plan"])
def test_a_study_of_a_newer_version_is_left_alone(refused, study, act):
    path = study.folder.info_path
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": "2", "percuss_version": "9.1"}))
    told = refused(act, study.folder.path, *NEEDS[act])
    assert "made by a newer version of Percuss: study.json of version 2" in told and "install Percuss 9.1" in told


def test_a_run_is_asked_for_and_a_study_given(percuss, study, tmp_path):
    for command in (("study", "create", study.folder.path, "--out", tmp_path / "new"), ("report", study.folder.path)):
        done = percuss(*command)
        assert done.exit_code == 2 and "no run, but a reader study" in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["", " ", "A\nB", "A\x1b[31m", "A\udcff", "A\x00", " Eve", "x" * 201])
def test_what_is_no_name_enrols_nobody_and_finds_nobody(refused, study, name):
    before = study.folder.database_path.read_bytes()
    assert "cannot be a name" in refused("enrol", study.folder.path, "--name", name)
    for act in ("revoke", "renew", "override"):
        told = refused(act, study.folder.path, "--name", name, *NEEDS[act][2:])
        assert "nobody of this name" in told or "cannot be stored" in told
        assert "\x1b" not in told
    assert study.folder.database_path.read_bytes() == before


def test_nobody_is_enrolled_twice_by_another_spelling(refused, percuss, study):
    assert percuss("study", "enrol", study.folder.path, "--name", "José Q").exit_code == 0
    for name, known in (("ada", "Ada"), ("ADA", "Ada"), ("Jose\u0301  q", "'José Q'")):
        told = refused("enrol", study.folder.path, "--name", name)
        assert "somebody of this name is enrolled" in told and f"--name {known} --reason WHY" in told


def test_an_unknown_reader_is_told_the_nearest_names(refused, study):
    enrol(study, "Grace Hopper")
    assert "Allowed: Grace Hopper" in refused("revoke", study.folder.path, "--name", "grace hoper", *WHY)


def test_files_that_are_no_trail_are_not_called_touched(refused, percuss, study, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    for name in ("empty.jsonl", "study.key", "study/study.db"):
        assert "no record of an audit trail" in refused("verify", tmp_path / name)
    done = percuss("study", "verify", tmp_path / "empty.jsonl", "--head", "1:" + "0" * 64)
    assert done.exit_code == 1 and "record 1 was removed" in done.stdout


def test_keys_that_do_not_fit(refused, percuss, study, tmp_path):
    other = tmp_path / "other.key"
    other.write_bytes(study.folder.secret_path.read_bytes()[::-1])
    (tmp_path / "text.key").write_text("no key")
    close(study, who="me", reason="done")
    folder = study.folder.path
    for act, more in (("results", ()), ("export", ("--out", tmp_path / "files")), ("plan", ())):
        assert "cannot be read: none.key" in refused(act, folder, "--secret", "none.key", *more)
        for name in ("other.key", "text.key"):
            told = refused(act, folder, "--secret", tmp_path / name, *more)
            assert f"does not open the key of this study: {tmp_path / name}" in told and "--secret" in told
    assert not (tmp_path / "files").exists() and not (folder / "results.json").exists()
    study.folder.sealed.write_bytes(study.folder.sealed.read_bytes()[:-2] + b"==")
    assert f"not as it was written: {study.folder.sealed} Next: restore it" in refused("results", folder)
    assert percuss("study", "verify", folder).exit_code == 1


def test_where_a_server_cannot_listen_the_reason_is_said(refused, study):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port} (Address already in use)" in refused("serve", study.folder.path, "--port", port)
    assert "(ports are 0 to 65535)" in refused("serve", study.folder.path, "--port", 65536)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("study.db", "no URL of a database"),
        ("sqlite://", "no URL of a database"),
        ("sqlite:///:memory:", "no URL of a database"),
        ("postgresql+pg8000://u:hush@127.0.0.1:port/d", "no URL of a database"),
        ("mysql://u:hush@127.0.0.1/d", "no such kind of database: mysql"),
        ("postgresql+pg8000://u:hush@127.0.0.1:1/d", "u@127.0.0.1:1/d cannot be used: Connection refused"),
        ("sqlite:///none.db", "the database of the study is missing: none.db"),
    ],
)
def test_databases_that_are_none(refused, study, tmp_path, url, named):
    told = refused("status", study.folder.path, "--database", url)
    assert named in told and "hush" not in told
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("title", ["A\x1b[31mB", "two\nlines", " ", "a\u2028b"])
def test_what_a_terminal_would_obey_is_no_title(refused, study, tmp_path, title):
    assert "cannot be a title" in refused("amend", study.folder.path, "--set", f"title={json.dumps(title)}", *WHY)
    assert study.folder.public().amendments == ()


def test_a_field_is_set_once(refused, study):
    told = refused("amend", study.folder.path, "--set", "washout_days=2", "--set", "washout_days=3", *WHY)
    assert "set twice: washout_days" in told


def test_a_protocol_without_what_is_sealed_is_no_frozen_one(refused, study):
    told = refused("plan", "--protocol", study.folder.public_path)
    assert "without what is sealed" in told and f"percuss study plan {study.folder.path}" in told
