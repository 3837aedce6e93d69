"""A stand-in for the backward pass: same logits to the last bit, a gradient that attacks can follow, and it is said."""

import pytest
import torch
from torch import nn

import percuss
from percuss.attacks.alarms.run import run_alarms
from percuss.attacks.bpda import Approximated, approximations, backward_approximation
from percuss.core.errors import ModelError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo


class Rounded(nn.Module):
    """Ten levels."""

    def forward(self, images):
        return (images * 9).round() / 9


def defended(first=None):
    torch.manual_seed(0)
    network = nn.Sequential(first or Rounded(), nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 3))
    return Model(network, ModelInfo("test", "classify", ("a", "b", "c"), 3, mean=(0.4,) * 3, std=(0.3,) * 3))


def batch(model, count=24):
    images = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return images, model(images).argmax(1)


def test_logits_stay_to_the_last_bit_and_the_attack_sees():
    model = defended()
    images, targets = batch(model)
    seen = backward_approximation(model, forward="network.0")
    assert torch.equal(seen(images), model(images)) and approximations(model) == []
    assert approximations(seen) == ["Rounded -> identity"]
    with pytest.raises(ModelError, match="no gradient reaches"):
        percuss.attack("pgd", model, images, targets, "linf=0.1")
    flipped = model(percuss.attack("pgd", seen, images, targets, "linf=0.1")).argmax(1) != targets
    assert flipped.float().mean() > 0.5


def test_gradient_is_that_of_the_stand_in():
    images = torch.rand(2, 3, 4, 4, requires_grad=True)
    step = Approximated(Rounded(), lambda values: 3 * values)
    (found,) = torch.autograd.grad(step(images).sum(), images)
    assert torch.equal(found, torch.full_like(images, 3)) and torch.equal(step(images), Rounded()(images))


def test_a_function_goes_before_the_normalisation():
    model = defended(nn.Identity())
    images, _ = batch(model)
    seen = backward_approximation(model, forward=Rounded())
    assert isinstance(seen, Model) and torch.equal(seen(images), model(Rounded()(images)))
    plain = backward_approximation(model.network, forward=Rounded())
    assert torch.equal(plain(images), model.network(Rounded()(images)))


def test_faults_are_named():
    with pytest.raises(ModelError, match="network.0"):
        backward_approximation(defended(), forward="network.O")
    with pytest.raises(ModelError, match="identity or a function"):
        backward_approximation(defended(), forward="network.0", backward="same")
    with pytest.raises(ModelError, match="another shape"):
        Approximated(lambda values: values[:, :1])(torch.rand(1, 3, 2, 2))


def test_alarms_say_that_a_stand_in_is_used():
    model = backward_approximation(defended(), forward="network.0")
    images, targets = batch(model, 8)
    given = Tensors([str(i) for i in range(8)], images, targets, [None] * 8, PixelRange())
    found = {item["id"]: item for item in run_alarms(model, given, effort="quick")}
    assert found["backward-approximation"]["evidence"] == {"steps": ["Rounded -> identity"]}
    assert "gradient-disagrees" not in found and not found["zero-gradients"]["flagged"]
