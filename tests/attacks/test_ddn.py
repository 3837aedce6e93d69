"""ddn: the exact smallest l2 change of linear models; other norms are refused."""

import pytest
import torch

import percuss
from percuss.core.budget import Norm
from percuss.core.errors import AttackError
from percuss.testing.exact import KINDS, examples, linear_model, smallest_step


@pytest.mark.parametrize("kind", list(KINDS))
def test_within_one_percent_of_the_exact_size(kind):
    model = linear_model(kind)
    data = examples(model)
    found = percuss.smallest(model, data.images, data.targets, "l2", attack="ddn", steps=30)
    ratio = found.sizes / torch.from_numpy(smallest_step(model, data, Norm.L2))
    assert float(ratio.min()) > 1 - 1e-4 and float(ratio.max()) < 1.01


def test_other_norms_are_refused():
    model = linear_model("two")
    data = examples(model, 2)
    with pytest.raises(AttackError, match="does not know this norm"):
        percuss.attack("ddn", model, data.images, data.targets, "linf=0.1")


def test_without_bound_every_image_flips():
    model = linear_model("three")
    data = examples(model)
    attacked = percuss.attack("ddn", model, data.images, data.targets, "none")
    assert bool((model(attacked).argmax(1) != data.targets).all())
