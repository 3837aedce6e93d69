"""Method one and method two as attacks on masks: budgets, order of classes, the published forms."""

import pytest
import torch

from percuss.attacks import pixels
from percuss.attacks.choosing import exact
from percuss.attacks.engine import run_attack
from percuss.attacks.hypothesis import Candidates, fingerprints, judged
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange
from percuss.core.norms import distance
from percuss.testing.exact import examples, pixel_model

ALL = {"early_stop": False}


def setting(text="linf=0.06", classes=3):
    model = pixel_model(classes=classes)
    batch = examples(model, 5)
    budget, given = parse_budget(text), Batch(batch.images, batch.targets)
    target = Target(model, given, Goal(), pixels=PixelRange())
    return model, batch, Candidates(target, given, budget, rows=torch.arange(5)), budget


@pytest.mark.parametrize("text", ["linf=0.06", "l2=0.4", "l1=3", "l0=20%"])
def test_no_choice_leaves_the_budget(text):
    _, batch, made, budget = setting(text)
    eps = budget.eps(batch.images.shape[1:])
    for signs in ([1, 1, 1], [-1, 1, 0], [-1, -1, -1]):
        found = made.images(torch.arange(5), torch.tensor([signs] * 5, dtype=torch.int8))
        assert (distance(budget.norm, found - batch.images) <= eps * (1 + 1e-4)).all()


def test_a_pattern_leads_towards_its_class():
    model, batch, made, _ = setting()
    for wanted in range(3):
        signs = torch.zeros(5, 3, dtype=torch.int8)
        signs[:, wanted] = 1
        with torch.no_grad():
            gain = model(made.images(torch.arange(5), signs)).log_softmax(1) - model(batch.images).log_softmax(1)
        assert (gain[:, wanted].mean((1, 2)) > 0).all()


def test_exact_search_finds_the_worst_of_all_choices():
    from percuss.attacks.choosing import every_choice

    model, batch, made, budget = setting()
    swept = run_attack("hypothesis", model, batch, [budget], settings={**ALL, "search": "exact"})
    with torch.no_grad():
        ours = judged(model(swept.images[budget.text]), batch.targets, "loss")
        all_of_them = torch.stack(
            [
                judged(model(made.images(torch.arange(5), row.expand(5, -1))), batch.targets, "loss")
                for row in every_choice(3)
            ]
        )
    # The best iterate is kept by quality, which is what counts; none may be better by the loss than the search's best.
    assert (ours <= all_of_them.max(0).values + 1e-9).all()
    quality = [row.margin for row in swept.outcomes]
    assert max(quality) > -0.5


def test_the_patterns_share_one_forward_pass():
    model, batch, _, budget = setting()
    target = Target(model, Batch(batch.images, batch.targets), Goal(), pixels=PixelRange())
    made = Candidates(target, Batch(batch.images, batch.targets), budget, rows=torch.arange(5))
    assert target.model_evaluations.tolist() == [1] * 5 and target.gradient_evaluations.tolist() == [3] * 5
    assert torch.equal(made.logits, model(batch.images).detach())
    for wanted in range(3):  # each the same as a gradient by itself
        signs = torch.zeros(5, 3, dtype=torch.int8)
        signs[:, wanted] = 1
        _, slope = target.gradient(batch.images, torch.arange(5), slope=pixels.towards(batch.targets, wanted))
        alone = (batch.images + 0.02 * slope.sign()).clamp(0, 1)
        assert torch.allclose(made.images(torch.arange(5), signs), alone, atol=1e-6)


def test_candidates_that_are_the_same_image_are_judged_once():
    # Rounded to levels of 1/255, changes of a third of a level each make few images.
    model, batch, _, _ = setting()
    rounding = {**ALL, "search": "exact", "rounding": "native"}
    batch.images = (batch.images * 255).round() / 255
    batch.targets = model(batch.images).argmax(1).detach()
    few = run_attack("hypothesis", model, batch, [parse_budget("linf=1/255")], settings=rounding)
    many = run_attack("hypothesis", model, batch, [parse_budget("linf=20/255")], settings=rounding)
    assert max(row.model_evaluations for row in few.outcomes) < 20
    assert min(row.model_evaluations for row in many.outcomes) >= 27


def test_fingerprints_tell_images_apart_and_see_the_same():
    images = torch.rand(3, 2, 4, 4)
    images[2] = images[0]
    other = images[:1].clone()
    other[0, 1, 2, 3] += 1e-6
    marks = fingerprints(images)
    assert marks[0] == marks[2] != marks[1] and fingerprints(other)[0] != marks[0]


def test_the_last_is_what_the_search_chose():
    model, batch, made, budget = setting()
    swept = run_attack("hypothesis", model, batch, [budget], settings={**ALL, "search": "exact", "keep": "last"})
    choices, _ = exact(
        lambda rows, choices: judged(model(made.images(rows, choices)).detach(), batch.targets[rows], "loss"), 5, 3
    )
    assert torch.equal(swept.images[budget.text], made.images(torch.arange(5), choices))


@pytest.mark.parametrize("search", ["quick", "exact"])
def test_images_fare_the_same_alone(search):
    model, batch, _, budget = setting(classes=5)
    together, alone = (
        run_attack("hypothesis", model, batch, [budget], batch_size=size, settings={**ALL, "search": search})
        for size in (5, 1)
    )
    assert torch.allclose(together.images[budget.text], alone.images[budget.text], atol=1e-6)
    for one, other in zip(together.outcomes, alone.outcomes, strict=True):
        assert one.model_evaluations == other.model_evaluations


def test_twelve_classes_are_searched_quickly_and_refused_exactly():
    model, batch, _, budget = setting(classes=12)
    swept = run_attack("hypothesis", model, batch, [budget], settings={**ALL, "keep": "last"})
    assert max(row.model_evaluations for row in swept.outcomes) < 200
    with torch.no_grad():
        after, before = (judged(model(i), batch.targets, "loss") for i in (swept.images[budget.text], batch.images))
    assert (after > before).all()
    with pytest.raises(AttackError, match="12 classes, 531,441 choices"):
        run_attack("hypothesis", model, batch, [budget], settings={**ALL, "search": "exact"})


def test_quick_and_exact_agree_for_few_classes():
    model, batch, _, budget = setting()
    found = [
        run_attack("hypothesis", model, batch, [budget], settings={**ALL, "search": search}).images[budget.text]
        for search in ("quick", "exact")
    ]
    assert torch.equal(*found)


def test_mean_absolute_error_is_that_over_all_classes():
    logits, truth = torch.randn(2, 4, 3, 3, dtype=torch.float64), torch.randint(0, 4, (2, 3, 3))
    hot = torch.nn.functional.one_hot(truth, 4).movedim(-1, 1)
    assert torch.allclose(judged(logits, truth, "mae"), (hot - logits.softmax(1)).abs().mean((1, 2, 3)))


def test_layered_as_published_moves_every_value_at_every_step():
    model = pixel_model()
    batch = examples(model, 3)
    batch.images = batch.images * 0.2 + 0.4
    batch.targets = model(batch.images).argmax(1).detach()
    settings = {**ALL, "keep": "last", "steps": 2, "step_size": 0.01}
    found = run_attack("layered", model, batch, [parse_budget("none")], settings=settings).images["none"]
    moved = (found - batch.images).abs() / 0.01
    assert torch.allclose(moved, moved.round(), atol=1e-4) and moved.max() <= 6
    assert distance(Norm.LINF, found - batch.images).max() > 0.015  # far beyond one step: nothing is projected


def test_layered_ends_near_its_last_class():
    model = pixel_model()
    batch = examples(model, 4)
    settings = {**ALL, "keep": "last", "steps": 30}
    found = run_attack("layered", model, batch, [parse_budget("linf=0.2")], settings=settings).images["linf=0.2"]
    with torch.no_grad():
        after, before = ((model(images).argmax(1) == 2).double().mean() for images in (found, batch.images))
    assert after > before + 0.2


@pytest.mark.parametrize(
    ("attack", "settings", "words"),
    [
        ("hypothesis", {"search": "full"}, "search: full. Allowed: quick, exact"),
        ("hypothesis", {"criterion": "dice"}, "criterion: dice. Allowed: loss, mae"),
        ("hypothesis", {"asks": 3}, "asks is too small: 3"),
        ("layered", {"steps": 0}, "steps is too small: 0"),
        ("layered", {"step_size": -1.0}, "step_size is too small"),
    ],
)
def test_settings_without_meaning_are_named(attack, settings, words):
    model = pixel_model()
    with pytest.raises(AttackError, match=words):
        run_attack(attack, model, examples(model, 2), [parse_budget("linf=0.1")], settings=settings)
