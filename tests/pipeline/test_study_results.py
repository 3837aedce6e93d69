"""Results of a real study: created, answered, corrected, closed, verified, computed and written."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("sqlalchemy", reason="the extra study is not installed")

from sqlalchemy import text
from tests.study.small_study import ARMS, make

import percuss
from percuss.core.errors import RunError
from percuss.core.images import PixelRange
from percuss.pipeline.study_results import _images, study_results
from percuss.study.access import enrol, revoke
from percuss.study.answering import save_answer
from percuss.study.answers import Sent, Shown
from percuss.study.closing import close
from percuss.study.design.trials import Arm
from percuss.study.results.gather import gather, happened
from percuss.study.standing import place
from percuss.study.tables import PlaceRow
from percuss.study.trail import Event, record

TASKS = ("diagnosis", "choice", "same")
PAIRS = (*ARMS, Arm(kind="identical"))


def right_answer(study, key, reader, number):
    """What the key says is right at a reader's place, and the files of the place as a browser hashes them."""
    with study.database.read() as session:
        row = session.get(PlaceRow, (reader, number))
        left, task, trial = row.left_file, row.task, key.trials[row.trial]
        files = [key.files[name] for name in (row.left_file, row.right_file) if name]
    _, _, arm, case = trial.split("|")
    whole = {item.id: item for item in key.frozen.protocol.cases}[case]
    if task == "diagnosis":
        return {"task": task, "label": whole.truth, "confidence": 4}, files
    if task == "choice":
        return {"task": task, "side": "left" if key.files[left] == whole.images[arm] else "right"}, files
    return {"task": task, "same": arm == "identical"}, files


def answer_all(study, key, reader, *, until=None, wrong=()):
    """A reader who is always right but at the places ``wrong``, where a diagnosis is turned round."""
    total = len(key.trials)
    for number in range(1, (until or total) + 1):
        given, files = right_answer(study, key, reader, number)
        if number in wrong and given["task"] == "diagnosis":
            given |= {"label": {"tumour": "normal", "normal": "tumour"}[given["label"]]}
        send(study, reader, number, given, sha256=files)


def send(study, reader, number, given, *, reason="", **shown):
    token = place(study, reader, number).token
    values = {"reaction_ms": 3000, "zoom_most": 2, **shown}
    sent = Sent(id=uuid4(), trial=token, answer=given, shown=Shown(**values), reason=reason)
    return save_answer(study, reader, sent)


@pytest.fixture
def studied(tmp_path: Path):
    """Two readers, one who answers everything and one who stops; not closed yet."""
    study, key = make(tmp_path / "STUDY", tasks=TASKS, arms=PAIRS, copies=1)
    for name in ("Ada Quill", "Bo Quartz"):
        enrol(study, name)
    yield study, key
    study.database.close()


def test_right_answers_come_out_as_right_whatever_side_they_stood_on(studied) -> None:
    study, key = studied
    answer_all(study, key, 1)
    reads = gather(study, key)
    assert len(reads) == len(key.trials) and {read.reader for read in reads} == {"R1"}
    assert all(read.right for read in reads)
    assert {read.side for read in reads if read.trial.task == "choice"} == {"left", "right"}
    assert [read.number for read in reads] == [*range(1, len(key.trials) + 1)]


def test_a_closed_study_becomes_results_and_a_page(studied) -> None:
    study, key = studied
    answer_all(study, key, 1, wrong=(2,))
    answer_all(study, key, 2, until=5)
    old, _ = right_answer(study, key, 1, 1)
    turned = {"tumour": "normal", "normal": "tumour"}[old["label"]]
    send(study, 1, 1, old | {"label": turned}, reason="wrong key")
    with study.database.write() as session:
        record(session, Event(who="Ada Quill", what="display", new={"monitor": "my own"}))
    revoke(study, "Bo Quartz", who="me", reason="on leave")
    close(study, who="me", reason="done")
    found = percuss.study_results(study.folder.path)
    results = found.results
    content = json.loads((study.folder.path / "results.json").read_text())
    assert content["schema_version"] == "1.0" and found.report_path.read_text().startswith("<!doctype html>")
    one, two = results.readers
    assert (one.name, one.answered, one.total, one.corrected) == ("R1", len(key.trials), len(key.trials), 1)
    assert (two.answered, two.revoked, one.monitor["monitor"]) == (5, True, "my own")
    # The turned answer and the corrected one are wrong, all others right.
    right = [item for item in results.arms if item.task == "diagnosis" and item.reader == "R1"]
    assert sum(round(item.right.value * item.right.n) for item in right) == sum(item.answered for item in right) - 2
    kinds = {item.kind for item in results.deviations}
    assert {"unfinished", "revoked", "corrected", "fewer-readers"} <= kinds
    assert not kinds & {"other-bytes", "not-hashed", "out-of-order", "trail-unsound"}
    assert results.study.trail_sound and results.study.trail_number > len(key.trials)
    assert results.study.protocol_hash == key.frozen.hash
    for name in ("Ada Quill", "Bo Quartz"):
        assert name not in found.json_path.read_text() and name not in found.report_path.read_text()


def test_an_open_study_is_refused(studied) -> None:
    study, key = studied
    answer_all(study, key, 1, until=3)
    with pytest.raises(RunError, match="the study is open"):
        study_results(study.folder.path)
    assert not (study.folder.path / "results.json").exists()


def test_a_study_that_was_touched_is_refused_unless_told(studied) -> None:
    study, key = studied
    answer_all(study, key, 1, until=6)
    close(study, who="me", reason="done")
    with study.database.engine.begin() as connection:
        for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("UPDATE answers SET reason = 'mine' WHERE number = 2"))
    with pytest.raises(RunError, match="not as it was written"):
        study_results(study.folder.path)
    found = study_results(study.folder.path, unsound=True).results
    assert found.study.trail_sound is False
    assert found.findings[0].id == "study-severe-deviations"
    assert found.deviations[0].kind == "trail-unsound"
    assert "answer 2 of R1" in found.deviations[0].message and "Quill" not in found.model_dump_json()


def test_other_bytes_in_the_browser_are_severe(studied) -> None:
    study, key = studied
    given, files = right_answer(study, key, 1, 1)
    send(study, 1, 1, given, sha256=["0" * 64, *files[1:]])
    close(study, who="me", reason="done")
    found = study_results(study.folder.path).results
    assert (found.deviations[0].kind, found.deviations[0].severity) == ("other-bytes", "severe")


def test_a_key_that_is_not_there_is_said(studied) -> None:
    study, _ = studied
    close(study, who="me", reason="done")
    study.folder.secret_path.unlink()
    with pytest.raises(RunError):
        study_results(study.folder.path)


def test_happened_knows_overrides_by_pseudonym_and_the_order_of_answers(studied) -> None:
    study, key = studied
    answer_all(study, key, 2, until=4)
    told = happened(study, key)
    assert [person.order for person in told.people] == [(), (1, 2, 3, 4)]
    assert (told.closed, told.overrides, told.corrections) == ("", (), ())


def test_sizes_of_large_cases_are_known_from_their_tiles(tmp_path: Path) -> None:
    """Pictures in tiles are folders; of images of several shapes an rms has no one length."""
    study, key = make(tmp_path / "STUDY", cases=2, shape=(1, 8, 12))
    try:
        for name in key.files:
            png = study.folder.images / name
            if png.is_file():
                content = png.read_bytes()
                png.unlink()
                tile = study.folder.images / Path(name).stem / "0" / "0_0.png"
                tile.parent.mkdir(parents=True)
                tile.write_bytes(content)
        shape, pixels = _images(study)
        assert (shape, pixels) == ((1, 8, 12), PixelRange())
        other, _ = make(tmp_path / "OTHER", cases=2, shape=(1, 8, 8))
        other.database.close()
        first = next(other.folder.images.glob("*.png"))
        first.rename(study.folder.images / first.name)
        assert _images(study) == (None, PixelRange())
        (study.folder.images / first.name).write_bytes(b"no picture")
        assert _images(study) == (None, PixelRange())
    finally:
        study.database.close()
