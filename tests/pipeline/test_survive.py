"""Survival after storage: exact counts on a model with a known border, a run that gains its table, resumed."""

import hashlib
import shutil

import pandas as pd
import pytest
import torch
from torch import nn

from percuss.core.errors import DataError, RunError
from percuss.core.images import PixelRange
from percuss.core.model import Model, ModelInfo
from percuss.pipeline import survive as module
from percuss.pipeline.run import Run
from percuss.pipeline.survive import survival, survive


class Border(nn.Module):
    """Class 1 where the first pixel is above half a grey level over 100."""

    def forward(self, images):
        lead = (images[:, 0, 0, 0] - 100.5 / 255) * 1000
        return torch.stack([-lead, lead], 1)


def grey(values):
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 16, 16).contiguous() / 255


def test_counts_are_exact_and_only_flips_count():
    clean, attacked = grey([100.0, 100.0, 100.0, 101.0]), grey([100.6, 100.4, 103.0, 103.0])
    attacked[0] = grey([100.55])[0]  # native rounding takes it to 101: stays flipped
    attacked[1, 0, 0, 0] = 100.51 / 255
    clean[1] = grey([99.0])[0]
    found = {row.format: row for row in survival(Border(), clean, attacked, targets=torch.tensor([0, 0, 0, 0]))}
    assert {row.flips.n for row in found.values()} == {3}  # the last was wrong before
    assert found["native"].flips.value == 1 and found["png"].flips == found["native"].flips
    assert found["native"].clean_right.value == 1
    assert "exact" in found["native"].flips.method
    assert found["native"].flips.low == pytest.approx(0.025 ** (1 / 3))


def test_coarser_storage_undoes_fine_changes():
    clean, attacked = grey([100.0, 100.0]), grey([100.0, 100.0])
    attacked[:, 0, 0, 0] = torch.tensor([100.501, 100.53]) / 255
    deep = survival(Border(), clean, attacked, targets=torch.tensor([0, 0]), pixels=PixelRange(0, 65535))
    found = {row.format: row.flips.value for row in deep}
    assert found["native"] == found["dicom16"] == 1
    clean[:, 0, 0, 0] = 100.3 / 255
    coarse = survival(Border(), clean, attacked, targets=torch.tensor([0, 0]), pixels=PixelRange(0, 100))
    assert {row.format: row.flips.value for row in coarse}["native"] == 0  # 100.5 of 255 is nearest to 39 of 100


def test_shapes_must_agree():
    with pytest.raises(DataError, match="shape"):
        survival(Border(), grey([1.0]), grey([1.0, 2.0]), targets=torch.tensor([0]))


@pytest.fixture
def run(finished, tmp_path):
    """A finished audit of its own for each test."""
    return Run(shutil.copytree(finished.path, tmp_path / "run"))


def test_a_run_gains_its_table_and_goes_on_where_it_was(run, small, tissue, judged, tmp_path, monkeypatch):
    flips = run.rows[(run.rows["image"] != "") & run.rows["success"]]
    first, calls = module.survival_rows, []

    def stopped(*args, **options):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return first(*args, **options)

    monkeypatch.setattr(module, "survival_rows", stopped)
    with pytest.raises(KeyboardInterrupt):
        survive(run.path, data=tissue, model=judged)
    monkeypatch.setattr(module, "survival_rows", lambda *args, **options: calls.append(2) or first(*args, **options))
    done = survive(run.path, data=tissue, model=judged)
    units = sum(-(-len(part) // 32) for _, part in flips.groupby("norm"))
    assert calls.count(2) == units - 1
    rows = {(row.norm, row.format): row for row in done.results.survival}
    for norm, part in flips.groupby("norm"):
        kept = rows[norm, "native"].flips
        assert (kept.n, kept.value) == (len(part), pytest.approx(part["success_stored"].mean()))
        assert rows[norm, "png"].flips == kept
        assert rows[norm, "jpeg80"].flips.n == len(part)
    page = done.report.read_text(encoding="utf-8")
    assert "After storage" in page and "JPEG, quality 80" in page
    assert not any("JPEG" in line for line in done.results.not_tested)
    assert not done._folder.damaged() and not (done.path / "parts").exists()
    # The audit given again finds it finished, and keeps the table.
    assert small(tmp_path / "run").results.survival == done.results.survival


def test_kept_images_are_listed_with_their_hashes(run):
    listed = pd.read_csv(run.path / "images.csv")
    assert len(listed) == int((run.rows["image"] != "").sum()) > 0
    for name, wanted in zip(listed["file"], listed["sha256"], strict=True):
        assert hashlib.sha256((run.path / name).read_bytes()).hexdigest() == wanted


def test_other_models_and_damaged_images_are_refused(run, tissue, judged):
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    other = Model(net, ModelInfo("x", "classify", ("normal", "tumour"), 3))
    with pytest.raises(RunError, match="not that of the run"):
        survive(run.path, data=tissue, model=other)
    name = run.rows.loc[(run.rows["image"] != "") & run.rows["success"], "image"].iloc[0]
    (run.path / name).write_bytes(b"")
    with pytest.raises(RunError, match="gone or changed"):
        survive(run.path, data=tissue, model=judged)
