"""On linear models the smallest flipping size is known: attacks flip from there on, and never before."""

import pytest
import torch

from percuss.attacks.engine import run_attack
from percuss.core.budget import Norm
from percuss.core.images import PixelRange, Tensors
from percuss.testing.exact import budget_of, examples, linear_model, smallest_step

SIZED = [norm for norm in Norm if norm is not Norm.NONE]


def rows_at(attack, model, data, norm, factor):
    """One outcome per image, each at ``factor`` times its own smallest step (l0: one pixel less below 1)."""
    pixels = data.images[0, 0].numel()
    found = []
    for i, step in enumerate(smallest_step(model, data, norm)):
        size = step - 0.5 / pixels if norm is Norm.L0 and factor < 1 else step if norm is Norm.L0 else step * factor
        one = Tensors([data.ids[i]], data.images[i : i + 1], data.targets[i : i + 1], [None], PixelRange())
        found += run_attack(attack, model, one, [budget_of(norm, float(size))]).outcomes
    return found


@pytest.mark.parametrize("kind", ["two", "single"])
@pytest.mark.parametrize("norm", SIZED)
@pytest.mark.parametrize(("attack", "slack"), [("fgsm", 1e-4), ("bim", 2e-2), ("pgd", 1e-2)])
def test_flips_exactly_from_the_smallest_step_on(attack, slack, norm, kind):
    model = linear_model(kind)
    data = examples(model, 5)
    if norm is not Norm.L2:
        slack = 1e-4
    assert not any(row.success for row in rows_at(attack, model, data, norm, 1 - 1e-4))
    assert all(row.success for row in rows_at(attack, model, data, norm, 1 + slack))


@pytest.mark.parametrize("kind", ["three", "seven", "labels"])
@pytest.mark.parametrize("norm", SIZED)
def test_never_below_the_smallest_step_of_many_classes(norm, kind):
    model = linear_model(kind)
    data = examples(model, 5)
    assert not any(row.success for row in rows_at("pgd", model, data, norm, 1 - 1e-4))
    assert sum(row.success for row in rows_at("pgd", model, data, norm, 2.5)) >= 4


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd"])
@pytest.mark.parametrize("kind", ["two", "three", "single", "labels"])
def test_without_bound_every_reachable_image_flips(attack, kind):
    model = linear_model(kind)
    data = examples(model, 5)
    settings = {} if attack == "fgsm" else {"steps": 100}
    swept = run_attack(attack, model, data, [budget_of(Norm.NONE, 0)], settings=settings)
    reachable = smallest_step(model, data, Norm.NONE) == 0
    assert [row.success for row in swept.outcomes] == reachable.tolist()


@pytest.mark.parametrize("scale", [1e-6, 1e4])
@pytest.mark.parametrize("norm", list(Norm))
def test_the_scale_of_the_logits_does_not_matter(norm, scale):
    data = examples(linear_model("two"))
    budget = budget_of(norm, 0.2)
    plain, scaled = (
        run_attack("pgd", linear_model("two", scale=s), data, [budget], settings={"early_stop": False, "keep": "last"})
        for s in (1.0, scale)
    )
    assert torch.allclose(plain.images[budget.text], scaled.images[budget.text], atol=1e-4)


def textbook(model, data, eps, alpha, steps):
    """FGSM, BIM and start-free PGD as printed in the papers."""
    x = data.images
    for _ in range(steps):
        inputs = x.clone().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(model(inputs), data.targets, reduction="sum")
        (slope,) = torch.autograd.grad(loss, inputs)
        x = torch.clamp(x + alpha * slope.sign(), data.images - eps, data.images + eps).clamp(0, 1)
    return x


@pytest.mark.parametrize(
    ("attack", "settings", "alpha", "steps"),
    [
        ("fgsm", {}, 0.03, 1),
        ("bim", {"steps": 6}, 0.03 / 6, 6),
        ("bim", {"steps": 6, "step_size": 0.0125}, 0.0125, 6),
    ],
)
def test_linf_equals_the_textbook(attack, settings, alpha, steps):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(8 * 16, 4)
    )
    model = linear_model("seven")
    model.network = network
    object.__setattr__(model.info, "classes", ("0", "1", "2", "3"))
    data = examples(model)
    swept = run_attack(
        attack, model, data, [budget_of(Norm.LINF, 0.03)], settings={**settings, "early_stop": False, "keep": "last"}
    )
    wanted = textbook(model, data, 0.03, alpha, steps)
    assert torch.allclose(next(iter(swept.images.values())), wanted, atol=3e-7, rtol=0)
