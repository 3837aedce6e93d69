"""Square attack: linear models without gradients, budgets used in full, queries counted, and masked gradients seen."""

import pytest
import torch
from torch import nn

from percuss.attacks.engine import run_attack
from percuss.attacks.square import covered, square
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.seeds import ImageRandom
from percuss.testing.exact import budget_of, examples, linear_model, smallest_step


def at(model, data, norm, factor, **settings):
    """Whether each image flips at ``factor`` times its smallest step."""
    found = []
    for i, size in enumerate(smallest_step(model, data, norm)):
        one = Tensors([data.ids[i]], data.images[i : i + 1], data.targets[i : i + 1], [None], PixelRange())
        swept = run_attack("square", model, one, [budget_of(norm, float(size * factor))], settings=settings)
        found.append(swept.outcomes[0].success)
    return found


def test_squares_shrink_as_in_the_paper():
    at_queries = [covered(query, 10000, 0.8) for query in (1, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    assert at_queries == [0.8 / 2**i for i in range(10)]
    assert covered(6, 5000, 0.8) == 0.4 and covered(5, 5000, 0.8) == 0.8  # scaled to the queries there are


@pytest.mark.parametrize("kind", ["two", "single", "three", "labels"])
@pytest.mark.parametrize(("norm", "factor"), [(Norm.LINF, 1.3), (Norm.L2, 2.0), (Norm.L1, 3.0), (Norm.L0, 4.0)])
def test_flips_a_little_above_the_smallest_step_and_never_below(kind, norm, factor):
    model = linear_model(kind)
    data = examples(model, 4)
    below = 1 - 1e-4 if norm is not Norm.L0 else 0.99
    assert not any(at(model, data, norm, below, queries=50))
    assert all(at(model, data, norm, factor))


@pytest.mark.parametrize(("text", "size"), [("linf=0.01", "linf"), ("l2=0.2", "l2"), ("l1=1", "l1")])
def test_the_whole_size_is_used(text, size):
    model = linear_model("two")
    data = examples(model)
    data.images = data.images * 0.5 + 0.25
    data.targets = model(data.images).argmax(1).detach()
    swept = run_attack("square", model, data, [parse_budget(text)], settings={"queries": 30, "early_stop": False})
    for row in swept.outcomes:
        assert getattr(row, size) == pytest.approx(row.eps, rel=1e-3)


def test_queries_are_counted_no_gradient_is_asked_for_and_flipped_images_leave():
    model = linear_model("two")
    data = examples(model)
    for row in run_attack("square", model, data, [parse_budget("linf=1e-5")], settings={"queries": 40}).outcomes:
        assert row.gradient_evaluations == 0 and row.model_evaluations >= 40
    large = run_attack("square", model, data, [parse_budget("linf=0.5")]).outcomes
    assert all(row.success and row.model_evaluations < 60 for row in large)


def test_more_queries_flip_more():
    model = linear_model("seven")
    data = examples(model, 24)
    budget = [parse_budget("linf=0.04")]
    few, many = (
        sum(row.success for row in run_attack("square", model, data, budget, settings={"queries": n}).outcomes)
        for n in (3, 600)
    )
    assert few < many


def test_finds_what_a_gradient_that_lies_hides():
    class Lying(nn.Module):
        """A linear model whose gradient points the wrong way."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, images):
            logits = self.inner(images)
            return 2 * logits.detach() - logits

    honest = linear_model("two")
    data = examples(honest)
    model = Model(Lying(honest.network), ModelInfo("lying", "classify", ("0", "1"), 3))
    budget = [budget_of(Norm.LINF, 1.5 * float(smallest_step(honest, data, Norm.LINF).max()))]
    misled = sum(row.success for row in run_attack("apgd", model, data, budget, settings={"steps": 10}).outcomes)
    found = sum(row.success for row in run_attack("square", model, data, budget).outcomes)
    assert misled < found == len(data.ids)


def test_under_linf_no_query_asks_again_about_the_image_that_is_kept():
    model = linear_model("two", (1, 8, 8))
    data = examples(model, 1, shape=(1, 8, 8))
    data.images = data.images * 0.5 + 0.25
    asked = []

    class Listening(nn.Module):
        """The linear model, and what it was asked."""

        def forward(self, images):
            asked.extend(images.detach().clone())
            return model.network(images)

    heard = Model(Listening(), ModelInfo("heard", "classify", ("0", "1"), 1))
    batch = Batch(data.images, model(data.images).argmax(1).detach())
    target = Target(heard, batch, Goal(early_stop=False), pixels=PixelRange())
    square(target, batch, parse_budget("linf=0.01"), rng=ImageRandom(0, data.ids, "test"), queries=60)
    truth, kept = batch.targets[0], asked[0]
    with torch.no_grad():
        for image in asked[1:60]:
            assert not torch.equal(image, kept)
            now, before = model(image[None])[0], model(kept[None])[0]
            gain = (now[1 - truth] - now[truth]) - (before[1 - truth] - before[truth])
            kept = image if gain > 1e-5 * now.abs().max() else kept


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"queries": 0}, "queries.*1 or more"), ({"share": 0.0}, "share.*above 0"), ({"share": 1.5}, "share.*at most 1")],
)
def test_settings_without_meaning_are_named(settings, words):
    model = linear_model("two")
    with pytest.raises(AttackError, match=words):
        run_attack("square", model, examples(model, 2), [parse_budget("linf=0.1")], settings=settings)


def test_images_of_any_shape():
    model = linear_model("two", (1, 3, 11))
    data = examples(model, 3, shape=(1, 3, 11))
    for text in ("linf=0.1", "l2=0.5", "l1=2", "l0=10%"):
        swept = run_attack("square", model, data, [parse_budget(text)], settings={"queries": 20})
        assert torch.isfinite(swept.images[text]).all()
