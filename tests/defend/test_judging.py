"""Validation of class maps in batches, and the loss of their pixels, against torch on everything at once."""

import pytest
import torch
from torch import nn

from percuss.core import dense
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo, is_right
from percuss.defend.judging import confusions, judged
from percuss.defend.stepping import ClassLoss, make_loss

NAMES = ("background", "a", "b")


@pytest.fixture
def model():
    torch.manual_seed(3)
    return Model(nn.Conv2d(2, 3, 3, padding=1), ModelInfo("net", "segment", NAMES, 2))


@pytest.fixture
def part():
    drawn = torch.Generator().manual_seed(4)
    maps = torch.randint(0, 3, (7, 8, 8), generator=drawn, dtype=torch.uint8)
    maps[0, :3] = dense.IGNORE
    maps[1] = dense.IGNORE
    maps[2] = 0
    images = torch.rand(7, 2, 8, 8, generator=drawn)
    return Tensors([str(i) for i in range(7)], images, maps, [None] * 7, PixelRange())


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_in_batches_is_that_of_torch_at_once(model, part, weighted):
    loss = make_loss(model, part.targets, weighted=weighted)
    logits = model(part.images).detach()
    wanted = nn.functional.cross_entropy(logits, part.targets.long(), weight=loss.weights, ignore_index=dense.IGNORE)
    assert float(loss(logits, part.targets)) == pytest.approx(float(wanted))
    right = is_right(logits, part.targets, "segment").double().mean()
    for size in (1, 3, 7):
        found = judged(model, loss, part, batch_size=size)
        assert found["val_loss"] == pytest.approx(float(wanted), rel=1e-5)
        assert found["val_accuracy"] == float(right)
        quality = dense.quality(logits.argmax(1), part.targets, 3)
        assert found["val_dice"] == pytest.approx(float(quality.mean()))


def test_classes_weigh_by_their_pixels_and_ignored_ones_count_for_nothing(model):
    maps = torch.full((2, 4, 4), dense.IGNORE, dtype=torch.uint8)
    maps[0, 0] = 0
    maps[1, 0, :1] = 1
    loss = make_loss(model, maps, weighted=True)
    assert loss.weights.tolist() == pytest.approx([5 / (3 * 4), 5 / (3 * 1), 1]), "the last is shown nowhere"
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss(logits, maps).backward()
    assert torch.equal(logits.grad.abs().sum(1) > 0, maps != dense.IGNORE)


def test_a_batch_without_a_judged_pixel_teaches_nothing_and_is_finite():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    found = ClassLoss("segment", None)(logits, torch.full((1, 4, 4), dense.IGNORE, dtype=torch.uint8))
    found.backward()
    assert float(found.detach()) == 0 and not bool(logits.grad.any())


def test_confusions_do_not_depend_on_the_batch_and_hold_one_batch_at_a_time(model, part, monkeypatch):
    whole = confusions(model, part, batch_size=7)
    seen = []
    held = model.network.forward
    monkeypatch.setattr(model.network, "forward", lambda images: seen.append(len(images)) or held(images))
    assert torch.equal(confusions(model, part, batch_size=3), whole) and seen == [3, 3, 1]
    assert whole.sum((1, 2)).tolist() == (part.targets != dense.IGNORE).sum((1, 2)).tolist()
