"""Broken foreign attacks on purpose: each is named, and never counted as a success."""

import pytest
import torch

import percuss
from percuss.attacks.engine import run_attack
from percuss.attacks.foreign import adopt
from percuss.core.budget import parse_budget
from percuss.core.errors import AttackError, NoGradientError
from percuss.core.model import Model, ModelInfo
from percuss.testing.exact import examples, linear_model

LINF = "linf=0.1"


def step(model, images, targets, eps=0.1):
    """A sound one."""
    images.requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(model(images), targets)
    (slope,) = torch.autograd.grad(loss, images)
    return (images + eps * slope.sign()).clamp(0, 1)


def run(attack, **settings):
    model = linear_model("three")
    return run_attack(adopt(attack), model, examples(model, 4), [parse_budget(LINF)], settings=settings)


def leaves_budget(model, images, targets, eps):
    return (images + torch.where(images > 0.5, -2 * eps, 2 * eps)).clamp(0, 1)


def leaves_range(model, images, targets, eps):
    return images + eps


def gives_nan(model, images, targets, eps):
    return images * torch.nan


def one_nan(model, images, targets, eps):
    found = step(model, images.detach(), targets, eps).clone()
    found[-1, 0, 0, 0] = torch.nan
    return found


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (leaves_budget, "leaves_budget left its budget linf=0.1: size 0.2, allowed 0.1: image image-0 and 3 more"),
        (leaves_range, "leaves_range left the range of the pixels, 0 to 1: image image-0 and 3 more"),
        (gives_nan, "gives_nan returned NaN or infinite pixels: image image-0 and 3 more"),
    ],
)
def test_breaches_are_measured_named_and_count_as_failed(attack, words):
    swept = run(attack, together=True)
    assert not any(row.success or row.success_stored for row in swept.outcomes)
    assert all(row.linf == 0 for row in swept.outcomes)
    assert len(swept.notes) == 1 and words in swept.notes[0] and swept.notes[0].endswith("counted as not flipped")
    model = linear_model("three")
    data = examples(model)
    with pytest.warns(UserWarning, match="counted as not flipped"):
        assert torch.equal(percuss.attack(attack, model, data.images, data.targets, LINF), data.images)


def test_a_breach_of_one_image_costs_no_other_its_success():
    rows = run(one_nan, together=True).outcomes
    assert [row.success for row in rows] == [True, True, True, False]


def test_a_change_in_place_is_measured_against_the_true_image():
    def in_place(model, images, targets, eps):
        images += 2 * eps * torch.where(images > 0.5, -1, 1)
        targets += 1
        return images

    swept = run(in_place)
    assert "size 0.2, allowed 0.1" in swept.notes[0] and not any(row.success for row in swept.outcomes)

    def honest(model, images, targets, eps):
        images.copy_(step(model, images.detach().clone(), targets, eps))
        return images

    assert torch.equal(run(honest).images[LINF], run(step).images[LINF])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda images: images[1:], r"\(0, 3, 6, 6\) torch.float32"),
        (lambda images: images.flatten(1), r"\(1, 108\)"),
        (lambda images: (images * 255).byte(), r"\(1, 3, 6, 6\) torch.uint8"),
        (lambda images: None, "NoneType"),
        (lambda images: (images, True), "tuple"),
    ],
)
def test_an_answer_of_another_shape_or_kind_is_an_error(answer, told):
    with pytest.raises(AttackError, match=f"other than attacked images: {told}.*floating point"):
        run(lambda model, images, targets: answer(images))


def test_its_own_errors_are_named_and_kept():
    def fails(model, images, targets):
        raise KeyError("lost")

    with pytest.raises(AttackError, match="the attack fails failed: KeyError: 'lost'") as caught:
        run(fails)
    assert isinstance(caught.value.__cause__, KeyError)


def test_memory_that_runs_out_halves_the_batch():
    def greedy(model, images, targets):
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return images

    swept = run(greedy, together=True)
    assert swept.notes == ["out of memory with 4 images; went on with 2"]


def test_weights_written_on_are_noticed():
    def poison(model, images, targets):
        with torch.no_grad():
            next(model.parameters()).add_(1)
        return images

    with pytest.raises(AttackError, match="poison wrote on the weights"):
        run(poison)


def test_the_model_stays_in_eval_mode():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(108, 2))
    model = Model(network, ModelInfo("norm", "classify", ("a", "b"), 3))
    data = examples(model, 4)

    def trains(model, images, targets):
        model.train()
        model(images)
        assert not model.training and not any(part.training for part in model.modules())
        return images

    before = network[0].running_mean.clone()
    run_attack(adopt(trains), model, data, [parse_budget(LINF)])
    assert torch.equal(network[0].running_mean, before)


def test_a_model_without_gradient_is_blamed_and_not_the_attack():
    class Rounded(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear_model("two").network

        def forward(self, images):
            return self.inner(images).detach()

    model = Model(Rounded(), ModelInfo("rounded", "classify", ("a", "b"), 3))
    with pytest.raises(NoGradientError):
        run_attack(adopt(step), model, examples(model), [parse_budget(LINF)])

    def zero(model, images, targets):
        (model(images.requires_grad_(True)) * 0).sum().backward()
        return images.detach()

    with pytest.raises(NoGradientError):
        run(zero)
