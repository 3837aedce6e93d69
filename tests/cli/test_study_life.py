"""The whole life of a small study by its commands: created from an audit, read over HTTP, closed, checked, exported."""

import csv
import io
import json

import pytest
from tests.study.app.served import serving

from percuss.study.folder import StudyFolder
from percuss.study.opening import open_study
from percuss.study.seal import load_key
from percuss.testing.perception import Perception
from percuss.testing.simulated_readers import SimulatedReader, oracle_of, take_part
from percuss.testing.study_client import StudyClient


@pytest.fixture
def run(percuss, images, factory, tmp_path):
    """A finished audit of twelve images, most of which flip."""
    sizes = ("--attack", "fgsm", "--budget", "linf=16/255,32/255", "--checks", "off", "--allow-code", "--quiet")
    done = percuss("audit", "--data", images, "--model", factory, "--out", tmp_path / "run", *sizes)
    assert done.exit_code == 0, done.stderr
    return tmp_path / "run"


def told(done):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def rehearse(study, codes):
    """Let simulated readers read everything that is open to them."""
    oracle = oracle_of(load_key(StudyFolder(study)))
    with serving(open_study(study)) as served:
        for seed, code in enumerate(codes):
            with StudyClient(served.address) as client:
                client.log_in(code)
                right = {arm: {"dark": 0.9, "light": 0.9} for arm in {arm for _, arm in oracle.shows.values()}}
                perception = Perception(right=right, dprime={}, seed=seed)
                take_part(client, SimulatedReader(perception, oracle))


def test_from_an_audit_to_files_that_need_no_percuss(percuss, run, tmp_path):
    study = tmp_path / "study"
    options = (
        "--preset",
        "foote",
        "--cases",
        4,
        "--budget",
        "linf=32/255",
        "--readers",
        2,
        "--seed",
        1,
        "--allow-code",
    )
    made = told(percuss("study", "create", run, "--out", study, *options, "--json"))
    assert (made["trials"], made["secret"]) == (16, str(tmp_path / "study.key"))
    assert made["administrator"]["role"] == "administrator" and "/r/" in made["administrator"]["link"]
    assert told(percuss("study", "plan", study, "--json"))["study"]["cases"] == 4
    codes = [told(percuss("study", "enrol", study, "--name", name, "--json"))["code"] for name in ("Ada", "Ben")]
    rehearse(study, codes)
    stands = told(percuss("study", "status", study, "--json"))["readers"]
    assert [(item["name"], item["done"]) for item in stands] == [("administrator", 0), ("Ada", 16), ("Ben", 16)]
    early = percuss("study", "results", study)
    assert early.exit_code == 2 and "percuss study close" in " ".join(early.stderr.split())
    head = told(percuss("study", "close", study, "--reason", "all have read", "--json"))["head"]
    results = told(percuss("study", "results", study, "--json"))
    assert results == json.loads((study / "results.json").read_text()) and (study / "report.html").exists()
    assert {"arms", "endpoints", "agreement", "thresholds", "deviations"} <= set(results)
    arms = [row for row in results["arms"] if row["copy_number"] == 1 and row["reader"] is None]
    assert {row["asked"] for row in arms} == {8} and all(0 <= row["true_positives"] <= 8 for row in arms)
    assert percuss("study", "verify", study, "--head", f"{head['number']}:{head['hash']}").exit_code == 0
    done = percuss("study", "results", study, "--secret", tmp_path / "none.key")
    assert done.exit_code == 2 and "--secret" in done.stderr
    done = percuss("study", "results", study)
    assert "report: " in done.stdout and f"percuss report RUN --study {study}" in " ".join(done.stdout.split())
    joined = told(percuss("report", run, "--study", study, "--json"))["reader_study"]
    assert [item["id"] for item in joined] == [results["study"]["id"]]
    assert joined[0]["endpoints"] == results["endpoints"]
    verdict = f"({joined[0]['id']}): {results['endpoints'][0]['name']}: {results['endpoints'][0]['verdict']}"
    assert verdict in " ".join(percuss("report", run).stdout.split())
    assert "reader_study" not in told(percuss("report", run, "--no-study", "--json"))
    assert percuss("report", run, "--study", tmp_path).exit_code == 2
    assert percuss("study", "export", study, "--out", tmp_path / "files").exit_code == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "files" / "answers.csv").read_text())))
    assert len(rows) == 32 and {row["truth"] for row in rows} == {"light"}


def test_what_the_terminal_says_of_a_new_study(percuss, run, tmp_path):
    done = percuss("study", "create", run, "--out", tmp_path / "study", "--cases", "dark=2,light=2", "--allow-code")
    assert done.exit_code == 0, done.stderr
    for part in (
        "secret ",
        "keep it apart",
        "administrator (administrator)",
        "link  http://127.0.0.1:8000/r/",
        "Next: ",
    ):
        assert part in done.stdout
    done = percuss("study", "create", run, "--out", tmp_path / "other", "--cases", "4", "--allow-code", "--quiet")
    assert done.exit_code == 0 and done.stdout.startswith("administrator (administrator)\nlink  "), done.stderr
    again = percuss("study", "create", run, "--out", tmp_path / "study", "--allow-code")
    assert again.exit_code == 2 and "fault of Percuss" not in again.stderr


def test_what_cannot_be_created_is_refused_and_leaves_nothing(percuss, run, tmp_path):
    for options, named in (
        (("--preset", "foot"), "foote"),
        (("--cases", "40"), "cases"),
        (("--task", "guess"), "diagnosis"),
        (("--budget", "linf=32/255", "--budget", "l2=0.5"), "one norm"),
        (("--address", "nowhere"), "no address"),
    ):
        done = percuss("study", "create", run, "--out", tmp_path / "study", "--allow-code", *options)
        told = " ".join(done.stderr.split())
        assert done.exit_code == 2 and named in told and "fault of Percuss" not in told, (options, told)
        assert not (tmp_path / "study").exists() and not (tmp_path / "study.key").exists()
