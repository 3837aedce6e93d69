"""Attacks on the maps of the paper's U-Net, narrow: an image fares the same alone and with mates."""

import pytest
import torch

from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.models.unet_avramidis import UNetAvramidis

SETTINGS = {
    "pgd": {"steps": 6},
    "segpgd": {"steps": 6},
    "cospgd": {"steps": 6},
    "layered": {"steps": 2},
    "apgd": {"steps": 6},
}


@pytest.mark.parametrize("attack", [*SETTINGS, "hypothesis"])
def test_batches_of_one_and_four_give_the_same(attack):
    torch.manual_seed(0)
    info = ModelInfo("percuss:unet_avramidis", "segment", tuple("abcde"), 3)
    model = Model(UNetAvramidis(3, 5, width=8), info).eval()
    images = (torch.rand(4, 3, 24, 32) * 255).round() / 255
    truth = model(images).argmax(1).to(torch.uint8)
    batch = Tensors([str(i) for i in range(4)], images, truth, [None] * 4, PixelRange())
    budget, settings = parse_budget("linf=8/255"), {"early_stop": False, **SETTINGS.get(attack, {})}
    alone, together = (
        run_attack(attack, model, batch, [budget], batch_size=size, settings=settings) for size in (1, 4)
    )
    gap = (alone.images[budget.text] - together.images[budget.text]).abs()
    assert (gap > 1e-6).double().mean() < 1e-3  # a slope of next to nothing may turn its sign with rounding
    for one, other in zip(alone.outcomes, together.outcomes, strict=True):
        assert one.margin == pytest.approx(other.margin, abs=0.01) and one.model_evaluations == other.model_evaluations
    assert (together.images[budget.text] - images).abs().max() > 7 / 255
