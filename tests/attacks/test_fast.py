"""The faster layout changes no number and is put back."""

import pytest
import torch
from torch import nn

from percuss.attacks.fast import search_layout


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 192, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, 2)
    ).requires_grad_(False)


def gradient(model, images):
    point = images.detach().requires_grad_()
    return torch.autograd.grad(model(point)[:, 0].sum(), point)[0]


def test_same_gradient_and_put_back(network):
    images = torch.rand(2, 3, 16, 16)
    plain, before = gradient(network, images), [weight.clone() for weight in network.parameters()]
    with search_layout(network):
        assert network[2].weight.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(gradient(network, images), plain, rtol=1e-5, atol=1e-8)
    for weight, old in zip(network.parameters(), before, strict=True):
        assert weight.is_contiguous() and torch.equal(weight, old)


def test_put_back_after_an_error(network):
    with pytest.raises(ValueError, match="stop"), search_layout(network):
        raise ValueError("stop")
    assert network[2].weight.is_contiguous()


def test_small_model_is_left_alone():
    model = nn.Conv2d(3, 4, 3)
    with search_layout(model):
        assert model.weight.is_contiguous() and not model.weight.is_contiguous(memory_format=torch.channels_last)
