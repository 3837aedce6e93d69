"""Directions agree with autograd's cross-entropy and survive saturation; margins and flips mean what they say."""

import pytest
import torch

from percuss.core.losses import cross_entropy, direction, flipped, margin


def test_direction_is_cross_entropy_over_its_weight():
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    targets = torch.arange(6) % 4
    (slope,) = torch.autograd.grad(cross_entropy(logits, targets, "classify").sum(), logits)
    weight = 1 - logits.softmax(1)[torch.arange(6), targets]
    assert torch.allclose(direction(logits, targets, "classify"), slope / weight.unsqueeze(1))
    assert torch.allclose(
        direction(logits, targets, "classify", goal=targets), -direction(logits, targets, "classify"), atol=1e-12
    )


@pytest.mark.parametrize("scale", [1, 1e3, 1e6])
def test_direction_never_vanishes(scale):
    logits = torch.tensor([[1.0, 0.0, -1.0]]) * scale
    found = direction(logits, torch.tensor([0]), "classify")
    assert float(found.abs().max()) == 1
    assert direction(torch.tensor([[-1.0 * scale]]), torch.tensor([0]), "classify").tolist() == [[1.0]]
    assert direction(torch.tensor([[1.0 * scale]]), torch.tensor([1]), "classify").tolist() == [[-1.0]]


def test_labels_push_the_nearest_label_and_a_goal_the_furthest():
    logits, targets = torch.tensor([[3.0, -0.1, 2.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    assert direction(logits, targets, "multilabel").tolist() == [[0.0, 1.0, 0.0]]
    goal = torch.tensor([[0.0, 0.0, 1.0]])
    pulled = direction(logits, targets, "multilabel", goal=goal)[0]
    assert pulled[0] < 0 and pulled[0].abs() > pulled[1].abs()
    assert float(margin(logits, targets, "multilabel")) == pytest.approx(-0.1)
    assert float(margin(logits, targets, "multilabel", goal=goal)) == pytest.approx(-3)


def test_margin_and_flip():
    logits, targets = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), torch.tensor([0, 0])
    assert margin(logits, targets, "classify").tolist() == [-1.0, 3.0]
    assert flipped(logits, targets, "classify").tolist() == [False, True]
    assert flipped(logits, targets, "classify", sure=0.99).tolist() == [False, False]
    assert flipped(logits, targets, "classify", goal=torch.tensor([2, 1])).tolist() == [False, True]
    assert margin(torch.tensor([[0.5]]), torch.tensor([1]), "classify").tolist() == [-0.5]


def test_cross_entropy_of_one_logit_and_of_labels():
    one = cross_entropy(torch.tensor([[2.0]]), torch.tensor([1]), "classify")
    many = cross_entropy(torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 1.0]]), "multilabel")
    assert float(one) == pytest.approx(float(many)) == pytest.approx(0.126928, abs=1e-6)
