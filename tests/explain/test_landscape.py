"""The landscape of a loss: exact on a linear model, along the way of its weights, and weights left as they were."""

import numpy as np
import pytest
import torch
from torch import nn

from percuss.core.errors import DataError, ModelError
from percuss.core.losses import cross_entropy
from percuss.core.model import Model, ModelInfo
from percuss.explain.landscape import flat, grid, landscape, random_plane, trajectory_plane

IMAGES = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
TARGETS = (IMAGES.mean((1, 2, 3)) > 0.5).long()


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.last = nn.BatchNorm2d(1), nn.Linear(16, 2)

    def forward(self, images):
        return self.last(self.norm(images).flatten(1))


@pytest.fixture
def trained():
    """A model and the states of its training, oldest first."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, states = Model(Small(), ModelInfo("small", "classify", ("a", "b"), 1)), []
    steps = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for _ in range(6):
        states.append({name: value.clone() for name, value in model.network.state_dict().items()})
        steps.zero_grad()
        cross_entropy(model(IMAGES), TARGETS, model.task).mean().backward()
        steps.step()
    return model, states


def test_the_way_lies_in_the_plane_of_its_components(trained):
    model, states = trained
    plane = trajectory_plane(model, states)
    way = torch.stack([flat(model, state) for state in states]) - flat(model)
    wanted = torch.linalg.svd(way, full_matrices=False)
    for k, axis in enumerate((plane.first, plane.second)):
        assert abs(float(axis @ wanted.Vh[k])) == pytest.approx(1, abs=1e-4)
        assert plane.shares[k] == pytest.approx(float(wanted.S[k] ** 2 / (wanted.S**2).sum()), abs=1e-4)
    assert plane.path[0, 0] <= 0 and plane.path.shape == (6, 2)
    across, up = grid(plane, 9)
    assert across[0] < plane.path[:, 0].min() and across[-1] > 0 and up[0] < plane.path[:, 1].min()


def test_losses_are_those_of_the_weights_and_the_model_is_left_as_it_was(trained):
    model, states = trained
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plane = trajectory_plane(model, states)
    found = landscape(model, IMAGES, TARGETS, plane=plane, points=5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert found.loss.shape == (5, 5) and found.path_loss.shape == (6,) and np.isfinite(found.loss).all()
    with torch.no_grad():
        model.network.load_state_dict(states[2])
        assert found.path_loss[2] == pytest.approx(
            float(cross_entropy(model(IMAGES), TARGETS, "classify").mean()), abs=1e-5
        )
    assert found.path_loss[0] > found.path_loss[-1]


def test_random_directions_are_as_long_as_each_filter(trained):
    model, _ = trained
    plane = random_plane(model, seed=3)
    assert torch.equal(plane.first, random_plane(model, seed=3).first)
    parts = dict(
        zip(["last.bias", "last.weight", "norm.bias", "norm.weight"], plane.first.split([2, 32, 1, 1]), strict=True)
    )
    own = model.network.last.weight.norm(dim=1)
    assert torch.allclose(parts["last.weight"].view(2, 16).norm(dim=1), own, rtol=1e-5)
    assert not parts["last.bias"].any() and not parts["norm.weight"].any()
    found = landscape(model, IMAGES, TARGETS, plane=plane, points=3)
    with torch.no_grad():
        assert found.loss[1, 1] == pytest.approx(
            float(cross_entropy(model(IMAGES), TARGETS, "classify").mean()), abs=1e-5
        )
    assert found.path.shape == (0, 2)


def test_rows_found_before_are_not_computed_again(trained):
    model, states = trained
    kept, asked = {}, []

    def row(number, compute):
        if number not in kept:
            asked.append(number)
            kept[number] = compute()
        return kept[number]

    first = landscape(model, IMAGES, TARGETS, plane=trajectory_plane(model, states), points=4, row=row)
    again = landscape(model, IMAGES, TARGETS, plane=trajectory_plane(model, states), points=4, row=row)
    assert asked == [0, 1, 2, 3, 4] and np.array_equal(first.loss, again.loss)


def test_checkpoints_that_span_no_plane_or_are_of_another_network_are_refused(trained):
    model, states = trained
    with pytest.raises(DataError, match="span no plane"):
        trajectory_plane(model, states[:1])
    with pytest.raises(DataError, match="span no plane"):
        trajectory_plane(model, [model.network.state_dict()] * 3)
    with pytest.raises(ModelError, match="not of this network"):
        trajectory_plane(model, [{"other": torch.zeros(1)}] * 3)
