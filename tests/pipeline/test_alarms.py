"""Alarms of a run: on its own images, kept as a part, and with the stored files read back."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.pipeline.alarms import alarm_records
from percuss.pipeline.inputs import open_images
from percuss.pipeline.parts import Work
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.results import joined
from percuss.store.folder import RunFolder
from percuss.testing.broken import Shattered


@pytest.fixture
def work(finished, tissue, judged, tmp_path):
    """The finished run as the pipeline sees it, its parts in a folder of their own."""
    plan = AuditPlan(data=tissue.spec, model="module", split="all")
    folder = RunFolder(tmp_path, {"identity": {"model": "colour"}})
    for path in finished.path.rglob("images/**/*.png"):
        folder.write(path.relative_to(finished.path).as_posix(), path.read_bytes())
    return Work(plan, open_images(plan, tissue), judged, torch.device("cpu"), folder)


def test_records_are_kept_and_the_stored_images_hold(work, finished):
    first, seconds = alarm_records(work, finished.clean, finished.rows, effort="quick")
    assert [item["id"] for item in first if item["severity"] == "severe"] == []
    stored = first[-1]
    assert stored["id"] == "stored-image-differs" and stored["evidence"]["images"] > 40
    assert alarm_records(work, finished.clean, finished.rows, effort="quick") == (first, seconds)
    assert len(list(work.folder.path.glob("parts/alarms-*.parquet"))) == 1


def test_a_row_that_lies_and_a_file_that_changed_are_flagged(work, finished):
    lied = finished.rows.assign(success_stored=~finished.rows["success_stored"].astype(bool))
    found = alarm_records(work, finished.clean, lied, effort="quick")[0][-1]
    assert found["severity"] == "severe" and len(found["evidence"]["differ"]) == 20
    for path in work.folder.path.glob("parts/*"):
        path.unlink()
    next(work.folder.path.glob("images/linf/*.png")).write_bytes(b"gone")
    found = alarm_records(work, finished.clean, finished.rows, effort="quick")[0][-1]
    assert found["severity"] == "severe" and "gone or changed" in found["message"]


def test_without_a_right_image_there_is_no_record(work, finished):
    none = finished.clean.assign(correct=False)
    assert alarm_records(work, none, pd.DataFrame(columns=finished.rows.columns))[0] == []


def test_a_broken_defence_makes_the_run_invalid(small, judged, tmp_path):
    broken = Model(Shattered(judged), replace(judged.info, mean=(0.0,) * 3, std=(1.0,) * 3))
    done = small(tmp_path / "run", model=broken, checks="quick", attacks="pgd")
    assert not done.valid and done.summary.startswith("INVALID") and "noisy-loss" in done.summary
    assert '<p class="stamp">INVALID</p>' in done.report.read_text(encoding="utf-8")
    assert {item.id for item in done.results.checks if item.flagged} >= {"noisy-loss"}


def test_the_same_doubt_is_told_once(finished):
    known = [{"id": "curve-not-falling", "severity": "warning", "message": "alarms", "evidence": {}}]
    row = Finding("curve-not-falling", "warning", "rows")
    assert [item.message for item in joined(known, [row])] == ["rows"]
    assert [item.message for item in joined([known[0] | {"severity": "severe"}], [row])] == ["alarms", "rows"]
    assert [item.message for item in joined(known, [])] == ["alarms"]
