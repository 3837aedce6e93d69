"""The commands of a study on a real PostgreSQL: the URL from study.json, the password from the environment."""

import json

import pytest
from tests.study.reading import read
from tests.study.small_study import make
from typer.testing import CliRunner

from percuss.cli.app import app


@pytest.fixture
def percuss():
    return lambda *arguments: CliRunner().invoke(app, ["study", *map(str, arguments)])


def said(done):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_from_enrolling_to_export(percuss, postgresql_url, tmp_path, monkeypatch):
    folder = tmp_path / "study"
    study, _ = make(folder, database=postgresql_url)
    password = postgresql_url.split(":")[2].partition("@")[0]
    assert password not in (folder / "study.json").read_text() and not (folder / "study.db").exists()
    assert "code" in said(percuss("enrol", folder, "--name", "Ada", "--json"))
    read(study, 1, 1, 12)
    study.database.close()
    (ada,) = said(percuss("status", folder, "--json"))["readers"]
    assert (ada["name"], ada["done"], ada["total"]) == ("Ada", 12, 12)
    head = said(percuss("close", folder, "--reason", "done", "--json"))["head"]
    done = percuss("verify", folder, "--head", f"{head['number']}:{head['hash']}")
    assert done.exit_code == 0 and "12 answers" in done.stdout, done.stdout + done.stderr
    assert len(said(percuss("export", folder, "--out", tmp_path / "files", "--json"))["files"]) >= 8
    assert set(said(percuss("results", folder, "--json"))) >= {"arms", "endpoints", "deviations"}
    for text in (done.stdout, done.stderr):
        assert password not in text


def test_a_wrong_password_is_said_without_showing_any(percuss, postgresql_url, tmp_path, monkeypatch):
    study, _ = make(tmp_path / "study", database=postgresql_url)
    study.database.close()
    monkeypatch.setenv("PERCUSS_STUDY_DATABASE_PASSWORD", "not-this-one")
    done = percuss("status", tmp_path / "study")
    told = " ".join(done.stderr.split())
    assert done.exit_code == 2 and "PERCUSS_STUDY_DATABASE_PASSWORD" in told and "not-this-one" not in told
    assert "fault of Percuss" not in told
    assert percuss("status", tmp_path / "study", "--database", postgresql_url).exit_code == 0
