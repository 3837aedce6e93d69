"""percuss study enrol, status, revoke, renew, override and close, on a small study."""

import json
from datetime import UTC, datetime

import pytest
from tests.study.reading import START, read, two_sessions

from percuss.study.access import log_in


@pytest.fixture
def study(tmp_path):
    opened = two_sessions(tmp_path)
    yield opened
    opened.database.close()


def record(done):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def enrolled(percuss, study, name="Ada", *more):
    return record(percuss("study", "enrol", study.folder.path, "--name", name, "--json", *more))


def refused(done, named):
    assert done.exit_code == 2 and done.stdout == ""
    told = " ".join(done.stderr.split())
    assert named in told and "fault of Percuss" not in told and "  Next: " in done.stderr


def test_link_and_code_are_told_once_and_both_log_in(percuss, study):
    said = enrolled(percuss, study)
    assert (said["name"], said["role"]) == ("Ada", "reader")
    assert said["link"].startswith("http://127.0.0.1:8000/r/")
    for secret in (said["code"], said["link"].rpartition("/")[2]):
        assert log_in(study, secret).reader.name == "Ada"
    text = percuss("study", "enrol", study.folder.path, "--name", "Ben").stdout
    assert "link  http://127.0.0.1:8000/r/" in text and "code  " in text and "not shown again" in text
    stored = b"".join(path.read_bytes() for path in study.folder.path.rglob("*") if path.is_file())
    assert said["code"].encode() not in stored and said["link"].rpartition("/")[2].encode() not in stored


def test_the_link_begins_with_the_servers_address(percuss, study):
    said = enrolled(percuss, study, "Ada", "--address", "https://reading.example.org/")
    assert said["link"].startswith("https://reading.example.org/r/")
    done = percuss("study", "enrol", study.folder.path, "--name", "Ben", "--address", "http://192.0.2.7:8000", "--json")
    assert done.stderr.count("not encrypted") == 1 and record(done)["link"].startswith("http://192.0.2.7:8000/r/")


@pytest.mark.parametrize("address", ["reading.example.org", "ftp://a", "https://", "http://a/?b=c"])
def test_a_wrong_address_enrols_nobody(percuss, study, address):
    refused(percuss("study", "enrol", study.folder.path, "--name", "Ada", "--address", address), "no address")
    assert record(percuss("study", "status", study.folder.path, "--json"))["readers"] == []


def test_names_are_taken_once(percuss, study):
    enrolled(percuss, study)
    refused(percuss("study", "enrol", study.folder.path, "--name", "Ada"), "percuss study renew")
    refused(percuss("study", "enrol", study.folder.path, "--name", "Ben", "--role", "boss"), "reader or administrator")


def test_status_tells_how_far_everybody_is_and_no_answer(percuss, study):
    folder = study.folder.path
    assert "nobody is enrolled" in percuss("study", "status", folder).stdout
    ada = log_in(study, enrolled(percuss, study)["code"]).reader.id
    enrolled(percuss, study, "Boss", "--role", "administrator")
    read(study, ada, 1, 4)
    done = percuss("study", "status", folder, "--json")
    found = record(done)
    first = found["readers"][0]
    assert (found["state"], found["trials"], first["done"], first["total"]) == ("open", 12, 4, 12)
    assert found["head"]["number"] > 4
    text = percuss("study", "status", folder).stdout
    assert "4/12" in text and "1/2" in text and "administrator" in text
    for shown in (text, done.stdout):
        assert "tumour" not in shown and "adversarial" not in shown and "case-" not in shown


def test_washout_shows_and_can_be_overridden(percuss, study):
    folder = study.folder.path
    ada = log_in(study, enrolled(percuss, study)["code"]).reader.id
    read(study, ada, 1, 6, now=datetime.now(UTC))
    assert "washout until 20" in percuss("study", "status", folder).stdout
    act = ("study", "override", folder, "--name", "Ada", "--reason", "she travels")
    refused(percuss(*act, "--session", 3), "no such session")
    assert "may begin session 2" in percuss(*act, "--session", 2).stdout
    assert record(percuss("study", "status", folder, "--json"))["readers"][0]["phase"] == "reading"


def test_revoked_and_renewed(percuss, study):
    folder, first = study.folder.path, enrolled(percuss, study)
    assert "no access any more" in percuss("study", "revoke", folder, "--name", "Ada", "--reason", "left").stdout
    assert log_in(study, first["code"]) is None and "revoked 20" in percuss("study", "status", folder).stdout
    second = record(percuss("study", "renew", folder, "--name", "Ada", "--reason", "back", "--json"))
    assert log_in(study, first["code"]) is None and log_in(study, second["code"]).reader.name == "Ada"
    assert "not shown again" in percuss("study", "renew", folder, "--name", "Ada", "--reason", "lost").stdout
    refused(percuss("study", "revoke", folder, "--name", "Eve", "--reason", "left"), "nobody of this name")


def test_closed_is_closed(percuss, study):
    folder = study.folder.path
    ada = log_in(study, enrolled(percuss, study)["code"]).reader.id
    read(study, ada, 1, 2, now=START)
    refused(percuss("study", "close", folder, "--reason", " "), "a reason")
    done = percuss("study", "close", folder, "--reason", "all have read")
    assert done.exit_code == 0 and "--head " in done.stdout and "Ada answered 2 of 12" in done.stderr
    noted = json.loads(study.folder.closed_path.read_text())
    assert f"{noted['number']}:{noted['hash']}" in done.stdout
    found = record(percuss("study", "status", folder, "--json"))
    assert (found["state"], found["head"]["hash"]) == ("closed", noted["hash"])
    refused(percuss("study", "close", folder, "--reason", "again"), "closed before")
    refused(percuss("study", "enrol", folder, "--name", "Ben"), "closed")


def test_close_as_json(percuss, study):
    said = record(percuss("study", "close", study.folder.path, "--reason", "enough", "--json"))
    assert said["state"] == "closed" and len(said["head"]["hash"]) == 64


def test_revoke_and_override_answer_scripts(percuss, study):
    folder = study.folder.path
    enrolled(percuss, study)
    act = ("--name", "Ada", "--reason", "she leaves", "--json")
    early = {"name": "Ada", "session": 2, "overridden": True}
    assert record(percuss("study", "override", folder, "--session", 2, *act)) == early
    assert record(percuss("study", "revoke", folder, *act)) == {"name": "Ada", "revoked": True}


@pytest.mark.parametrize("command", ["enrol", "status", "revoke", "renew", "override", "close", "serve"])
def test_a_folder_that_is_no_study_is_refused(percuss, tmp_path, command):
    more = {
        "enrol": ("--name", "A"),
        "revoke": ("--name", "A", "--reason", "r"),
        "renew": ("--name", "A", "--reason", "r"),
        "override": ("--name", "A", "--reason", "r", "--session", 2),
        "close": ("--reason", "r"),
    }
    refused(percuss("study", command, tmp_path, *more.get(command, ())), "percuss study create")


def test_without_the_extra_the_error_names_it(percuss, study, monkeypatch):
    from percuss.study import extra

    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "alembic" else object())
    done = percuss("study", "status", study.folder.path)
    refused(done, "pip install 'percuss[study]'")
    assert "alembic" in done.stderr


def test_serve_hands_on_what_it_was_told(percuss, study, tmp_path, monkeypatch):
    from percuss.study.app import serving

    told = []
    monkeypatch.setattr(serving, "serve", lambda opened, at, **settings: told.append((opened.info.id, at, settings)))
    names = ("--allow-host", "reading.example.org", "--allow-host", "ward:8443")
    done = percuss("study", "serve", study.folder.path, "--port", 8123, "--host", "0.0.0.0", "--proxy", *names)
    assert done.exit_code == 0, done.stderr
    at = serving.Address("0.0.0.0", 8123, ("reading.example.org", "ward:8443"))
    assert told == [(study.info.id, at, {"certificate": None, "key": None, "proxy": True})]
    monkeypatch.undo()
    refused(
        percuss("study", "serve", study.folder.path, "--certificate", tmp_path / "c.pem"), "give both --certificate"
    )
