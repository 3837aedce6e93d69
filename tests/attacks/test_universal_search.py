"""Steps of the search on models whose best universal change is known."""

import math

import pytest
import torch
from torch import nn

from percuss.attacks.eval_mode import frozen
from percuss.attacks.target import Batch
from percuss.attacks.universal_search import Setup, UniversalState, advance, apply_change, calibrate
from percuss.core.budget import Norm
from percuss.core.errors import AttackError
from percuss.core.model import Model, ModelInfo
from percuss.core.norms import distance

SHAPE = (3, 6, 6)


class Line(nn.Module):
    def __init__(self, outputs=2, pull=4.0):
        super().__init__()
        torch.manual_seed(1)
        self.weight = nn.Parameter(torch.randn(outputs, math.prod(SHAPE)) * pull)

    def forward(self, images):
        return (images - 0.5).flatten(1) @ self.weight.T


def linear(task="classify", outputs=2, pull=4.0):
    classes = tuple("abc"[: max(outputs, 2)])
    return Model(Line(outputs, pull), ModelInfo("line", task, classes, 3))


def run(model, batch, norm, eps, method, rate, steps=60):
    setup = Setup(norm, eps, method, rate, 1 if method == "sgd" else 8, steps)
    with frozen(model):
        setup = calibrate(model, batch, setup)
        state = UniversalState.start(SHAPE)
        for step in range(steps):
            i = (step * setup.group) % len(batch.images)
            part = Batch(batch.images[i : i + setup.group], batch.targets[i : i + setup.group])
            state = advance(model, part, state, setup=setup)
    return state.change


@pytest.fixture
def batch():
    """Images of the first class, far from the border of the linear model."""
    model = linear()
    images = torch.rand(64, *SHAPE, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    with torch.no_grad():
        images = images[model(images).argmax(1) == 0][:16]
    return Batch(images, torch.zeros(16, dtype=torch.long))


@pytest.mark.parametrize("method", ["sgd", "batched"])
@pytest.mark.parametrize(("norm", "eps"), [(Norm.LINF, 0.05), (Norm.L2, 0.5), (Norm.L1, 3.0), (Norm.L0, 0.1)])
def test_nearly_the_best_change_of_a_linear_model(batch, method, norm, eps):
    model = linear(pull=1.0)
    weight = model.network.weight.detach()
    slope = (weight[1] - weight[0]).view(1, *SHAPE)
    found = run(model, batch, norm, eps, method, 0.1 if method == "sgd" else 0.3)
    assert float(distance(norm, found)) <= eps * (1 + 1e-5)
    values, pixels = slope.abs().flatten(), slope.abs().sum(1).flatten()
    best = {
        Norm.LINF: eps * float(values.sum()),
        Norm.L2: eps * float(slope.norm()),
        # Values start near the middle of the range, so that no change of one gives more than a half of it.
        Norm.L1: 0.5 * float(values.topk(6).values.sum()),
        Norm.L0: 0.5 * float(pixels.topk(3).values.sum()),
    }[norm]
    reached = float(((apply_change(batch.images, found) - batch.images) * slope).flatten(1).sum(1).mean()) / best
    assert reached > (0.9 if norm is not Norm.L0 else 0.8), reached


@pytest.mark.parametrize("method", ["sgd", "batched"])
@pytest.mark.parametrize(("task", "outputs"), [("classify", 1), ("classify", 3), ("multilabel", 3)])
def test_every_task(method, task, outputs):
    model = linear(task, outputs, pull=2.0)
    images = torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(3)) * 0.2 + 0.4
    with torch.no_grad():
        logits = model(images)
    targets = (
        (logits > 0).float()
        if task == "multilabel"
        else ((logits[:, 0] > 0).long() if outputs == 1 else logits.argmax(1))
    )
    from percuss.core.model import is_right

    change = run(model, Batch(images, targets), Norm.LINF, 0.2, method, 0.1)
    with torch.no_grad():
        wrong = ~is_right(model(apply_change(images, change)), targets, task)
    assert float(wrong.double().mean()) > 0.3


def test_step_does_not_depend_on_scale_of_the_loss_and_keeps_its_input(batch):
    state = UniversalState.start(SHAPE)
    setup = Setup(Norm.LINF, 0.05, "batched", 0.3, 16, 10, scale=1.0)
    before = batch.images.clone()
    first = advance(linear(), batch, state, setup=setup).change
    assert first.equal(advance(linear(), batch, state, setup=setup).change)
    assert batch.images.equal(before) and not state.change.any()


def test_no_limit_takes_finite_steps(batch):
    for method in ("sgd", "batched"):
        found = run(linear(), batch, Norm.NONE, math.inf, method, 0.5, steps=20)
        assert bool(torch.isfinite(found).all()) and float(found.abs().max()) > 1 / 255


def test_saturated_model_cannot_be_followed_by_sgd(batch):
    with frozen(linear(pull=1e5)) and pytest.raises(
        AttackError, match="gradients on the training images are zero.*batched"
    ):
        calibrate(linear(pull=1e5), batch, Setup(Norm.LINF, 0.05, "sgd", 0.1, 1, 10))
    assert calibrate(linear(pull=1e5), batch, Setup(Norm.LINF, 0.05, "batched", 0.1, 8, 10)).scale > 0
