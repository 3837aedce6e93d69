"""A closed study as files: every answer once, joined with the key; nothing before it is closed."""

import csv
import hashlib
import io
import json

import pytest
from tests.study.reading import at, enrolled, read, sent
from tests.study.small_study import ARMS, SIZE, make

from percuss.core.errors import UsageError
from percuss.study.access import revoke
from percuss.study.answering import save_answer
from percuss.study.closing import close
from percuss.study.design.protocol import load
from percuss.study.export_tables import as_csv
from percuss.study.exporting import export_study
from percuss.study.results.gather import gather
from percuss.study.trail import Head
from percuss.study.verification.trail_lines import verify


@pytest.fixture
def study(tmp_path):
    """Four cases, original and attacked: Ada reads all and corrects one, Ben reads three."""
    opened, key = make(
        tmp_path / "study",
        tasks=("diagnosis", "choice"),
        arms=ARMS[:2],
    )
    ada, ben = enrolled(opened, "Ada"), enrolled(opened, "Ben")
    read(opened, ada, 1, 12)
    read(opened, ben, 1, 2)
    save_answer(opened, ben, sent(opened, ben, 3, comment="=1+1"), now=at(minutes=1))
    save_answer(opened, ben, sent(opened, ben, 3, label="normal", reason="a slip"), now=at(minutes=2))
    yield opened, key
    opened.database.close()


def table(folder, name):
    return list(csv.DictReader(io.StringIO((folder / name).read_text(encoding="utf-8"))))


def test_answers_stay_sealed_until_the_study_is_closed(study, tmp_path):
    with pytest.raises(UsageError, match="not shown before it is closed"):
        export_study(*study, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_answer_stands_with_what_was_shown(study, tmp_path):
    opened, key = study
    close(opened, who="administrator", reason="done", now=at(hours=1))
    revoke(opened, "Ben", who="administrator", reason="left", now=at(hours=2))
    files = export_study(opened, key, out=tmp_path / "out")
    answers = table(tmp_path / "out", "answers.csv")
    assert len(answers) == 12 + 4
    trials = {trial.key: trial for trial in key.frozen.protocol.trials()}
    truths = {case.id: case.truth for case in key.frozen.protocol.cases}
    for row in answers:
        assert f"{row['task']}|{row['copy']}|{row['arm']}|{row['case']}" in trials
        assert row["truth"] == truths[row["case"]] and row["saved"].startswith("2026-03-02T")
        assert (row["side"] in ("left", "right")) == (row["task"] == "choice") == (row["chosen"] == "left")
    first, second = (row for row in answers if row["reader"] == "R2" and row["number"] == "3")
    assert (first["version"], second["version"], second["reason"]) == ("1", "2", "a slip")
    assert first["comment"] == "'=1+1"
    reads = {(read.reader, str(read.number)): read for read in gather(opened, key)}
    for row in answers:
        found = reads[row["reader"], row["number"]]
        assert (found.trial.case, found.trial.arm, found.side) == (row["case"], row["arm"], row["side"])
    orders = table(tmp_path / "out", "orders.csv")
    assert len(orders) == 24 and {row["reader"] for row in orders} == {"R1", "R2"}
    by_side = [row["side"] for row in orders if row["task"] == "choice"]
    assert set(by_side) == {"left", "right"}
    readers = table(tmp_path / "out", "readers.csv")
    assert [row["name"] for row in readers] == ["Ada", "Ben"] and readers[1]["revoked"].startswith("2026")
    cases = table(tmp_path / "out", "cases.csv")
    attacked = [row for row in cases if row["arm"] == f"adversarial {SIZE}"]
    assert [row["imrmc"] for row in cases[::2]] == ["C1", "C2", "C3", "C4"]
    assert len(cases) == 8 and all(row["model_flips"] == "True" for row in attacked)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert set(files) >= {"answers.csv", "trail.jsonl", "protocol.json", "key.json", "study.json", "closed.json"}


def test_protocol_and_trail_can_be_checked_without_the_study(study, tmp_path):
    opened, key = study
    head = close(opened, who="administrator", reason="done", now=at(hours=1))
    written = export_study(opened, key, out=tmp_path / "out")
    assert load(tmp_path / "out" / "protocol.json") == key.frozen
    verdict = verify(tmp_path / "out" / "trail.jsonl", head=Head(number=head.number, hash=head.hash))
    assert verdict.sound and verdict.head == head
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"] == written
    for name, sha in written.items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == sha
    with pytest.raises(UsageError, match="something already"):
        export_study(opened, key, out=tmp_path / "out")


def test_imrmc_has_the_readers_who_read_all(study, tmp_path):
    opened, key = study
    save_answer(opened, 1, sent(opened, 1, 8, label="normal", reason="a slip"), now=at(minutes=3))
    close(opened, who="administrator", reason="done", now=at(hours=1))
    export_study(opened, key, out=tmp_path / "out")
    lines = (tmp_path / "out" / "diagnosis-copy1.imrmc").read_text().splitlines()
    assert lines[2:6] == ["NR: 1", "N0: 2", "N1: 2", "NM: 2"]
    # Ada said tumour with confidence 4 to everything, and took one back: so sure that it is normal is 2.
    scores = [line.rpartition(",")[2] for line in lines if line.startswith("R1,")]
    assert sorted(scores) == ["2", *["9"] * 7]
    (row,) = [row for row in table(tmp_path / "out", "answers.csv") if row["version"] == "2" and row["reader"] == "R1"]
    (name,) = {case["imrmc"] for case in table(tmp_path / "out", "cases.csv") if case["case"] == row["case"]}
    assert f"R1,{name},{row['arm']},2" in lines


def test_a_study_that_nobody_read_can_be_exported(tmp_path):
    opened, key = make(tmp_path / "study")
    close(opened, who="administrator", reason="nobody came")
    files = export_study(opened, key, out=tmp_path / "out")
    opened.database.close()
    assert table(tmp_path / "out", "answers.csv") == [] and not any(name.endswith(".imrmc") for name in files)
    assert (tmp_path / "out" / "answers.csv").read_text() == "reader,number,version\n"


@pytest.mark.parametrize(("text", "cell"), [("=A1", "'=A1"), ("@x", "'@x"), ("a=b", "a=b"), (-2, "-2")])
def test_spreadsheets_get_no_formula(text, cell):
    assert as_csv([{"comment": text}]).decode().splitlines()[1] == cell
