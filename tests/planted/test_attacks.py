"""Broken attacks on purpose: the engine or the contract must catch each."""

import pytest
import torch

from percuss.attacks.engine import run_attack
from percuss.attacks.target import Attempt
from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import AttackError, NoGradientError
from percuss.core.norms import Room, project
from percuss.testing.attacks import check_attack
from percuss.testing.exact import examples, linear_model


def leaves_budget(target, batch, budget, *, rng):
    """Moves every value by 0.03."""
    return Attempt((batch.images + torch.where(batch.images > 0.5, -0.03, 0.03)).clamp(0, 1))


def one_image_leaves(target, batch, budget, *, rng):
    """Only the last image is beyond."""
    found = batch.images.clone()
    found[-1] = 1 - found[-1]
    return Attempt(found)


def leaves_box(target, batch, budget, *, rng):
    """Forgets the clip."""
    return Attempt(batch.images + 0.0199)


def gives_nan(target, batch, budget, *, rng):
    """Divides by zero."""
    return Attempt(batch.images / 0 * 0)


def drops_an_image(target, batch, budget, *, rng):
    """Returns too few."""
    return Attempt(batch.images[1:])


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (leaves_budget, "leaves_budget left its budget linf=0.02: size 0.03.*image image-0 and 7 more"),
        (one_image_leaves, "left its budget linf=0.02.*image image-7"),
        (leaves_box, "left the range of the pixels"),
        (gives_nan, "NaN or infinite pixels"),
        (drops_an_image, "another shape"),
    ],
)
def test_the_engine_refuses(attack, words):
    model = linear_model("two")
    with pytest.raises(AttackError, match=words):
        run_attack(attack, model, examples(model), [parse_budget("linf=0.02")])


@pytest.mark.parametrize("text", ["l2=0.1", "l1=0.1", "l0=3%"])
def test_the_engine_refuses_under_every_norm(text):
    model = linear_model("two")
    with pytest.raises(AttackError, match="left its budget"):
        run_attack(leaves_budget, model, examples(model), [parse_budget(text)])


def within(batch, budget, change):
    eps = budget.eps(batch.images.shape[1:])
    return Attempt((batch.images + project(budget.norm, change, eps, Room.of(batch.images))).clamp(0, 1))


def depends_on_mates(target, batch, budget, *, rng):
    """The size of the step comes from the whole batch."""
    rows = torch.arange(len(batch.images))
    _, slope = target.gradient(batch.images, rows)
    return within(batch, budget, slope / slope.norm() * 0.01)


def draws_from_the_global_generator(target, batch, budget, *, rng):
    """Not repeatable."""
    return within(batch, budget, torch.randn(batch.images.shape) / 100)


def changes_its_input(target, batch, budget, *, rng):
    """Works in place."""
    batch.images.mul_(0.999)
    return Attempt(batch.images)


def leaves_gradients(target, batch, budget, *, rng):
    """Calls backward."""
    target.model(batch.images).sum().backward()
    return Attempt(batch.images.clone())


def changes_the_model(target, batch, budget, *, rng):
    """Trains on the side."""
    with torch.no_grad():
        next(target.model.parameters()).mul_(0.9)
    return Attempt(batch.images.clone())


def remembers(target, batch, budget, *, rng, state=[0]):  # noqa: B006
    """Changes its own settings from run to run."""
    state[0] += 1
    return within(batch, budget, torch.full_like(batch.images, 0.001 * state[0]))


def ignores_the_region(target, batch, budget, *, rng):
    """Changes every pixel."""
    return within(batch, budget, torch.full_like(batch.images, 0.001))


def gives_up_in_a_region(target, batch, budget, *, rng):
    """Does nothing where not everything may change."""
    if batch.region is not None:
        return Attempt(batch.images.clone())
    return within(batch, budget, torch.full_like(batch.images, 0.001))


def takes_no_rng(target, batch, budget):
    """Has no randomness handed in."""
    return Attempt(batch.images.clone())


def needs_a_setting(target, batch, budget, *, rng, strength):
    """A setting without a default."""
    return Attempt(batch.images.clone())


def swallows_no_gradient(target, batch, budget, *, rng):
    """Calls images robust that it could not test."""
    try:
        _, slope = target.gradient(batch.images, torch.arange(len(batch.images)))
    except NoGradientError:
        return Attempt(batch.images.clone())
    return within(batch, budget, 0.001 * slope.sign())


def undocumented(target, batch, budget, *, rng):
    return Attempt(batch.images.clone())


def returns_a_tensor(target, batch, budget, *, rng):
    """Not an Attempt."""
    return batch.images.clone()


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (depends_on_mates, "depends on batch mates"),
        (draws_from_the_global_generator, "two runs with one seed differ"),
        (changes_its_input, "changed its inputs"),
        (leaves_gradients, "left gradients"),
        (changes_the_model, "changed the model's parameters"),
        (remembers, "two runs with one seed differ"),
        (ignores_the_region, "changed pixels outside the region"),
        (gives_up_in_a_region, "changed nothing inside the region of 8 of 8"),
        (takes_no_rng, "takes no rng"),
        (needs_a_setting, "settings have no default"),
        (swallows_no_gradient, "asked for a gradient where there is none"),
        (undocumented, "no docstring"),
        (returns_a_tensor, "does not return an Attempt"),
    ],
)
def test_the_contract_catches(attack, words):
    with pytest.raises(AssertionError, match=words):
        check_attack(attack, ("l2=0.3",))


def test_a_projection_that_scales_into_the_box_is_not_the_nearest():
    """Clip after scaling is the usual shortcut; on a tight box ours must be strictly nearer."""
    room = Room.of(torch.tensor([[[[0.99, 0.5]]]]))
    change, eps = torch.tensor([[[[1.0, 1.0]]]]), 0.3
    shortcut = room.clip(change * eps / change.norm())
    ours = project(Norm.L2, change, eps, room)
    assert float((ours - change).norm()) < float((shortcut - change).norm()) - 0.01
