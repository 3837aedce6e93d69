"""Alarms on heat maps: a sound detector raises none of strength, one with a hidden gradient does."""

import pytest
import torch
from torch import nn

from percuss.attacks.alarms.hiding import downhill, hidden
from percuss.attacks.alarms.probe import Probe, means_of
from percuss.attacks.alarms.run import run_alarms
from percuss.attacks.pgd import pgd
from percuss.core.dense import standing
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo


class Averager(nn.Module):
    """One logit for each cell of 4 x 4 pixels: mean darkness, optionally behind a staircase that hides its slope."""

    def __init__(self, hide):
        super().__init__()
        self.hide = hide

    def forward(self, images):
        mean = nn.functional.avg_pool2d(images.mean(1, keepdim=True), 4)
        if self.hide:
            coarse = (mean * 50).round() / 50
            mean = coarse.detach() + 0.001 * torch.sin(300 * mean)
        return 40 * (0.62 - mean)


class Crooked(Averager):
    """Says what the averager says, with a tenth of its gradient."""

    def forward(self, images):
        return super().forward(images.detach() + 0.1 * (images - images.detach()))


def tiles(count=12):
    rng = torch.Generator().manual_seed(0)
    truth = torch.zeros(count, 4, 4, dtype=torch.uint8)
    truth[:, 1:3, 1:3] = 1
    truth[:, 0, 0] = 255
    dark = truth.eq(1).float().repeat_interleave(4, 1).repeat_interleave(4, 2).unsqueeze(1)
    images = 0.7 - 0.12 * dark + 0.02 * torch.randn(count, 3, 16, 16, generator=rng)
    ids = [f"tile{i}" for i in range(count)]
    return Tensors(ids, images.clamp(0, 1), truth, [None] * count, PixelRange(0, 255), scored=True)


def flagged(hide, kind=Averager):
    model = Model(kind(hide), ModelInfo("averager", "heatmap", ("normal", "tumour"), 3, cell=4))
    records = run_alarms(model, tiles(), effort="quick")
    return {record["id"]: record for record in records if record["flagged"]}


def test_a_sound_detector_raises_no_alarm_of_strength():
    assert not set(flagged(False)) - {"noisy-loss"}


def test_a_hidden_gradient_is_noticed():
    found = flagged(True)
    assert found["unbounded-not-zero"]["severity"] == "severe"


def test_a_wrong_gradient_is_noticed():
    found = flagged(False, Crooked)["gradient-disagrees"]
    assert found["severity"] == "severe" and found["evidence"]["median_error"] == pytest.approx(0.9, abs=0.01)


def test_tumour_stands_out_by_the_difference_of_means():
    truth = torch.tensor([[[1, 0], [255, 0]], [[0, 0], [0, 0]]], dtype=torch.uint8)
    score = torch.tensor([[[3.0, 1.0], [9.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]])
    found = standing(torch.stack([torch.zeros_like(score), score], 1), truth)
    assert found[0] == pytest.approx(2.5) and bool(found[1].isnan())


def test_the_slope_of_hiding_is_that_of_standing():
    torch.manual_seed(0)
    logits = torch.randn(3, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    truth = torch.randint(0, 2, (3, 4, 4), dtype=torch.uint8)
    truth[0, 0, 0] = 255
    (slope,) = torch.autograd.grad(standing(logits, truth).sum(), logits)
    assert torch.allclose(downhill(logits.detach(), truth), -slope)


class Blind(nn.Module):
    """Calls tumour all the more tumour where normal cells beside it are called so: a high loss hides nothing."""

    def forward(self, images):
        mean = nn.functional.avg_pool2d(images.mean(1, keepdim=True), 4)
        whole = mean.mean((2, 3), keepdim=True)
        # Bright tiles: every cell rises much; the difference between cells falls by little.
        return 900 * (whole - 0.68) + 4 * (0.62 - mean)


def test_a_detector_whose_loss_rises_elsewhere_is_not_called_masked():
    model = Model(Blind(), ModelInfo("blind", "heatmap", ("normal", "tumour"), 3, cell=4))
    found = {record["id"] for record in run_alarms(model, tiles(), effort="quick") if record["flagged"]}
    assert "unbounded-not-zero" not in found
    probe = Probe(model, tiles(), 0, 32, means_of("quick"))
    assert not bool(probe.flips(pgd, "none", steps=50).any()) and bool(hidden(probe, "none", 100).all())
