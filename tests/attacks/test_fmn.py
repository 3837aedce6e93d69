"""fmn finds the exact smallest change of linear models under every norm, and as an attack keeps its budget."""

import pytest
import torch

import percuss
from percuss.attacks.engine import run_attack
from percuss.attacks.linear import nearest, nearest_values, rise
from percuss.core.budget import Norm
from percuss.core.errors import PercussError
from percuss.core.images import Tensors
from percuss.core.norms import Room, distance
from percuss.testing.exact import KINDS, budget_of, examples, linear_model, smallest_step

SIZED = [norm for norm in Norm if norm is not Norm.NONE]


def searched(kind, norm, *, scale=1.0, **settings):
    """Sizes over the exact ones, and what was found."""
    model = linear_model(kind, scale=scale)
    data = examples(model)
    found = percuss.smallest(model, data.images, data.targets, norm, **settings)
    exact = torch.from_numpy(smallest_step(model, data, Norm(norm)))
    assert torch.equal(found.sizes.isinf(), exact.isinf()) and torch.equal(found.success, ~exact.isinf())
    return (found.sizes / exact)[found.success], found


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("norm", SIZED)
def test_within_one_percent_of_the_exact_size(norm, kind):
    ratio, found = searched(kind, norm, attack="fmn", steps=30)
    assert float(ratio.min()) > 1 - 1e-4 and float(ratio.max()) < 1.01
    assert int(found.gradient_evaluations.max()) <= 30


@pytest.mark.parametrize("scale", [1e-6, 1e4])
@pytest.mark.parametrize("norm", SIZED)
def test_the_scale_of_the_logits_does_not_matter(norm, scale):
    ratio, _ = searched("three", norm, scale=scale, attack="fmn", steps=10)
    assert float(ratio.max()) < 1.01


@pytest.mark.parametrize("norm", SIZED)
def test_as_an_attack_it_flips_from_the_smallest_size_on(norm):
    model = linear_model("seven")
    data = examples(model, 5)
    for i, size in enumerate(smallest_step(model, data, norm).tolist()):
        one = Tensors([data.ids[i]], data.images[i : i + 1], data.targets[i : i + 1], [None], data.range)
        sizes = (size - 0.5 / 36, size) if norm is Norm.L0 else (size * 0.999, size * 1.01)
        budgets = [budget_of(norm, one_size) for one_size in sizes]
        swept = run_attack("fmn", model, one, budgets, settings={"steps": 30})
        assert [row.success for row in swept.outcomes] == [False, True]


def test_a_wider_budget_leaves_room_to_survive_rounding():
    model = linear_model("two")
    data = examples(model)
    size = float(smallest_step(model, data, Norm.LINF).max()) + 2 / 255
    rows = run_attack("fmn", model, data, [budget_of(Norm.LINF, size)]).outcomes
    assert all(row.success and row.success_stored for row in rows)
    assert max(row.gradient_evaluations for row in rows) <= 3  # an image leaves as soon as it fits


def test_single_rows_and_batches_agree():
    model = network()
    data = examples(linear_model("three"), 6)
    targets = decisions(model, data.images)
    whole, apart = (percuss.smallest(model, data.images, targets, "l1", steps=25, batch_size=size) for size in (6, 1))
    assert torch.allclose(whole.sizes, apart.sizes, rtol=1e-3)


def test_below_a_projected_attack_on_a_network():
    model = network()
    data = examples(linear_model("three"), 6)
    targets = decisions(model, data.images)
    found = percuss.smallest(model, data.images, targets, "linf")
    assert bool(found.success.all()) and torch.equal(decisions(model, found.images) != targets, found.success)
    for i in range(6):  # pgd at 5 % less fails on most, at 5 % more flips
        budget = budget_of(Norm.LINF, float(found.sizes[i]) * 0.9)
        attacked = percuss.attack("pgd", model, data.images[i : i + 1], targets[i : i + 1], budget, steps=50)
        assert bool((decisions(model, attacked) == targets[i : i + 1]).all())


def test_images_wrong_from_the_start_have_size_zero():
    model = linear_model("two")
    data = examples(model)
    found = percuss.smallest(model, data.images, 1 - data.targets, "l2")
    assert not bool(found.success.any()) and float(found.sizes.abs().max()) == 0
    assert int(found.model_evaluations.max()) == 0 and torch.equal(found.images, data.images)


def test_no_image():
    model = linear_model("two")
    data = examples(model)
    assert percuss.smallest(model, data.images[:0], data.targets[:0], "l2").sizes.shape == (0,)


def test_a_goal_is_reached():
    model = linear_model("three")
    data = examples(model)
    found = percuss.smallest(model, data.images, data.targets, "l2", target=1)
    assert torch.equal(decisions(model, found.images[found.success]), torch.ones(int(found.success.sum())).long())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": "none"}, "unknown norm"),
        ({"norm": "l2", "attack": "pgd"}, "unknown attack for smallest"),
        ({"norm": "linf", "attack": "ddn"}, "does not know this norm"),
        ({"norm": "l2", "attack": "sigma_zero"}, "does not know this norm"),
        ({"norm": "l2", "steps": 1}, "steps is too small"),
        ({"norm": "l0", "steps": 1}, "steps"),
        ({"norm": "l0", "count": "rows"}, "count"),
        ({"norm": "l2", "nonsense": 1}, "nonsense"),
    ],
)
def test_refused(arguments, message):
    model = linear_model("two")
    data = examples(model, 2)
    with pytest.raises(PercussError, match=message):
        percuss.smallest(model, data.images, data.targets, **arguments)


def test_a_model_without_gradient_is_refused():
    class Deaf(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :2].detach() + 0 * images.flatten(1)[:, :2]

    images = torch.rand(3, 1, 4, 4)
    with pytest.raises(PercussError, match="no gradient"):
        percuss.smallest(Deaf(), images, decisions(Deaf(), images), "l2", steps=3)


@pytest.mark.parametrize("norm", SIZED)
@pytest.mark.parametrize("share", [0.05, 0.6, 0.99])
def test_the_linear_estimate_is_exact(norm, share):
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 5, 5, generator=draws)
    gradient, room = torch.randn(4, 3, 5, 5, generator=draws), Room.of(images)
    need = share * rise(gradient, room.corner(gradient))
    change, size = nearest(norm, gradient, need, room)
    got = rise(gradient, change)
    assert bool((got >= need * (1 - 1e-4)).all())
    assert torch.allclose(distance(norm, change), size, rtol=1e-4)
    if norm is not Norm.L0:
        assert bool((got <= need * 1.001).all())
    assert torch.equal(room.clip(change), change)


def test_values_are_fewer_or_as_many_as_the_values_of_pixels():
    images = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    gradient, room = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1)), Room.of(images)
    need = 0.3 * rise(gradient, room.corner(gradient))
    change, size = nearest_values(gradient, need, room)
    assert torch.allclose((change != 0).flatten(1).double().mean(1), size)
    assert bool((rise(gradient, change) >= need * (1 - 1e-6)).all())
    assert bool((size <= nearest(Norm.L0, gradient, need, room)[1]).all())


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(8 * 16, 3)
    ).eval()


def decisions(model, images):
    with torch.no_grad():
        return model(images).argmax(1)
