"""sigma_zero: the fewest pixels, or values, that flip linear models; the same or fewer than fmn on a network."""

import numpy as np
import pytest
import torch

import percuss
from percuss.core.budget import Norm
from percuss.testing.exact import KINDS, examples, linear_model, smallest_step


@pytest.mark.parametrize("kind", list(KINDS))
def test_fewest_pixels_of_linear_models(kind):
    model = linear_model(kind)
    data = examples(model)
    found = percuss.smallest(model, data.images, data.targets, "l0", steps=30)
    assert found.attack == "sigma_zero"
    assert np.allclose(found.sizes.numpy(), smallest_step(model, data, Norm.L0))


def test_fewest_values_of_a_linear_model():
    model = linear_model("two")
    data = examples(model)
    found = percuss.smallest(model, data.images, data.targets, "l0", count="values", steps=30)
    weight = (model.network[1].weight[1] - model.network[1].weight[0]).detach().double()
    with torch.no_grad():
        logits = model(data.images).double()
    for i, image in enumerate(data.images.double().flatten(1)):
        sign = 1 if int(data.targets[i]) == 0 else -1
        way = sign * weight
        gain = (way.abs() * torch.where(way > 0, 1 - image, image)).sort(descending=True).values.cumsum(0)
        fewest = int((gain < (logits[i, 1] - logits[i, 0]).abs()).sum()) + 1
        assert round(float(found.sizes[i]) * image.numel()) == fewest


def test_budgets_count_pixels_whatever_is_counted():
    model = linear_model("two")
    data = examples(model)
    attacked = percuss.attack("sigma_zero", model, data.images, data.targets, "l0=20%", count="values", steps=20)
    assert int((attacked != data.images).any(1).flatten(1).sum(1).max()) <= 36 // 5


def test_prunes_what_a_network_does_not_need():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(8 * 16, 3)
    ).eval()
    images = examples(linear_model("three"), 8).images
    with torch.no_grad():
        targets = model(images).argmax(1)
    pruned, plain = (percuss.smallest(model, images, targets, "l0", attack=name) for name in ("sigma_zero", "fmn"))
    assert bool(pruned.success.all()) and float(pruned.sizes.mean()) <= float(plain.sizes.mean()) + 1 / 36
