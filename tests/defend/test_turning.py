"""Mirrored, turned and moved images, against closed forms; Keras' decay of the learning rate."""

import math

import pytest
import torch

from percuss.core.errors import UsageError
from percuss.defend.settings import make_settings
from percuss.defend.stepping import decay_factor
from percuss.defend.turning import TURNS, turned


def made(seed=0):
    return torch.Generator().manual_seed(seed)


def points(images):
    """Centre of mass of each image in pixels from the middle, ``[N, (x, y)]``."""
    height, width = images.shape[2:]
    ys = torch.arange(height) - (height - 1) / 2
    xs = torch.arange(width) - (width - 1) / 2
    mass = images.sum((1, 2, 3))
    return torch.stack([(images.sum((1, 2)) * xs).sum(1), (images.sum((1, 3)) * ys).sum(1)], 1) / mass.view(-1, 1)


def dots(count, height, width, right):
    """A small bright patch to the right of the middle."""
    images = torch.zeros(count, 1, height, width)
    row, column = height // 2, width // 2 + right
    images[:, :, row - 1 : row + 1, column - 1 : column + 1] = 1
    return images


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80)])
def test_a_turn_keeps_the_distance_and_stays_within_its_angle(height, width):
    found = points(turned(dots(400, height, width, 18), made(), name="rotate20"))
    assert found.norm(dim=1).sub(18).abs().max() < 0.5, "turned as a rigid body, in pixels, whatever the shape"
    angles = torch.rad2deg(torch.atan2(found[:, 1], found[:, 0].abs()))
    assert angles.abs().max() < 20.6 and angles.abs().max() > 18 and angles.abs().mean() == pytest.approx(10, abs=1)
    assert (found[:, 0] < 0).double().mean() == pytest.approx(0.5, abs=0.1), "half of them mirrored left-right"


def test_half_are_mirrored_upside_down():
    images = dots(400, 48, 48, 0)
    moved = torch.roll(images, 15, 2)
    assert (points(turned(moved, made(), name="rotate20"))[:, 1] < 0).double().mean() == pytest.approx(0.5, abs=0.1)


def test_moves_reach_a_tenth_of_the_side_and_only_where_asked():
    images = dots(400, 60, 60, 0)
    still, moved = (points(turned(images, made(), name=name)).norm(dim=1) for name in ("rotate20", "rotate20shift"))
    assert still.max() < 0.5 and 6.5 < moved.max() < 6 * 2**0.5 + 0.5, "a tenth of 60 along each side"


def test_outside_is_the_nearest_edge_and_values_stay_in_range():
    assert torch.allclose(turned(torch.ones(20, 3, 32, 40), made(), name="rotate20shift"), torch.ones(20, 3, 32, 40))
    noise = turned(torch.rand(20, 3, 32, 40, generator=made(1)), made(), name="rotate20shift")
    assert float(noise.min()) >= 0 and float(noise.max()) <= 1


def test_the_generator_decides():
    images = torch.rand(6, 3, 24, 24, generator=made(3))
    one, two, other = (turned(images, made(seed), name="rotate20shift") for seed in (0, 0, 1))
    assert torch.equal(one, two) and not torch.equal(one, other) and {"rotate20", "rotate20shift"} <= set(TURNS)


def test_decay_is_keras():
    settings = make_settings(lr=0.5, lr_decay=0.01)
    assert [decay_factor(settings, steps) for steps in (0, 1, 100)] == pytest.approx([1, 1 / 1.01, 0.5])
    assert decay_factor(make_settings(), 10**6) == 1
    assert math.isclose(decay_factor(make_settings(lr_decay=1e-6), 200 * 35), 1 / 1.007)


def test_trainings_without_decay_keep_their_identity():
    assert "lr_decay" not in make_settings().model_dump(exclude_none=True)
    assert make_settings(lr_decay=1e-6).identity() != make_settings().identity()
    with pytest.raises(UsageError, match="option lr_decay cannot be used: -1"):
        make_settings(lr_decay=-1)
