"""Method one and method two as makers of training images: budgets, the published forms, never worse, the union."""

import pytest
import torch
from torch import nn

from percuss.attacks.choosing import every_choice
from percuss.attacks.pixels import towards
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import Norm, parse_budget
from percuss.core.dense import IGNORE, cross_entropy
from percuss.core.errors import BudgetError, UsageError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.norms import distance
from percuss.defend.augmenting import changed
from percuss.defend.enhancing import Choice, Unclipped, enhanced
from percuss.defend.hardening import Ground
from percuss.defend.library import make_defence
from percuss.testing.exact import pixel_model


def segmenter():
    torch.manual_seed(3)
    body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(6, 3, 3, padding=1))
    return Model(body, ModelInfo("net", "segment", ("0", "1", "2"), 3))


def images(n=6, side=12):
    made = torch.Generator().manual_seed(5)
    truth = torch.randint(0, 3, (n, side, side), generator=made).to(torch.uint8)
    truth[0, 0] = IGNORE
    pixels = torch.rand(n, 3, side, side, generator=made)
    pixels[:, :, :2] = 0.002  # near the edge of the range
    return Tensors([str(i) for i in range(n)], pixels, truth, [None] * n, PixelRange())


def method(name, text="linf=0.06", **settings):
    budget = parse_budget(text)
    (found,) = make_defence(name, Ground(budget.norm, budget.value), settings).methods(3)
    return found


@pytest.mark.parametrize("name", ["layered", "hypothesis"])
@pytest.mark.parametrize("text", ["linf=0.06", "l2=0.4"])
def test_changes_stay_within_the_ball_and_do_something(name, text):
    plain, model = images(), segmenter()
    made, budget = changed(method(name, text), model, plain, rows=range(6)), parse_budget(text)
    size = distance(budget.norm, made.images - plain.images)
    assert (size <= budget.value * (1 + 1e-5) + 1e-6).all() and (size > budget.value / 20).all()
    assert made.images.min() >= 0 and made.images.max() <= 1 and made.images.dtype == torch.float32
    assert [row["id"] for row in made.rows] == plain.ids
    assert [row[budget.norm.value] for row in made.rows] == pytest.approx(size.tolist())
    with torch.no_grad():
        after = cross_entropy(model(made.images), plain.targets)
    assert [row["loss_after"] for row in made.rows] == pytest.approx(after.tolist())


@pytest.mark.parametrize("name", ["layered", "hypothesis"])
def test_an_image_is_changed_alike_in_any_company(name):
    plain, model = images(), pixel_model()
    whole = changed(method(name), model, plain, rows=range(6)).images
    single = torch.cat([changed(method(name), model, plain, rows=[row]).images for row in range(6)])
    assert torch.equal(whole, single)


def test_layered_on_paper_is_the_published_recursion_without_a_ball():
    plain, model = images(2), segmenter()
    found = changed(method("layered", protocol="paper", steps=7, step_size=0.01), model, plain, rows=range(2)).images
    image = plain.images
    for wanted in range(3):
        for _ in range(7):
            inputs = image.clone().requires_grad_(True)
            logits = model(inputs)
            goal = torch.where(plain.targets == IGNORE, plain.targets, torch.full_like(plain.targets, wanted))
            (gradient,) = torch.autograd.grad(cross_entropy(logits, goal).sum(), inputs)
            image = (image - 0.01 * gradient.sign()).clamp(0, 1).detach()
    assert (found - image).abs().max() < 0.03 and ((found - image).abs() < 1e-5).double().mean() > 0.99
    assert (found - plain.images).abs().max() > 0.1
    assert method("layered", protocol="paper").settings == {"protocol": "paper", "steps": 100, "step_size": 1e-3}
    assert method("layered", protocol="paper").budget.norm is Norm.NONE


@pytest.mark.parametrize("criterion", ["loss", "mae"])
@pytest.mark.parametrize("search", ["quick", "exact"])
def test_hypothesis_makes_no_image_worse_and_most_better(search, criterion):
    made = changed(method("hypothesis", search=search, criterion=criterion), segmenter(), images(), rows=range(6))
    before, after = (torch.tensor([row[f"{criterion}_{when}"] for row in made.rows]) for when in ("before", "after"))
    assert (after <= before).all() and (after < before - 1e-5).all()


def test_hypothesis_on_paper_is_the_best_of_all_sums_cut_to_the_range_once():
    plain, model = images(3), segmenter()
    asked = method("hypothesis", protocol="paper", pattern_size=0.02)
    found = changed(asked, model, plain, rows=range(3)).images
    target = Target(model.eval(), Batch(plain.images, plain.targets), Goal(), pixels=None)
    rows = torch.arange(3)
    signs = [target.gradient(plain.images, rows, slope=towards(plain.targets, c))[1].sign() for c in range(3)]
    best, chosen = torch.full((3,), torch.inf, dtype=torch.float64), plain.images
    for row in every_choice(3).tolist():
        image = (plain.images + sum(0.02 * s * sign for s, sign in zip(row, signs, strict=True))).clamp(0, 1)
        with torch.no_grad():
            chance = model(image).double().softmax(1)
        hot = nn.functional.one_hot(plain.targets.long().where(plain.targets != IGNORE, 0), 3).movedim(-1, 1)
        judged = (plain.targets != IGNORE).unsqueeze(1)
        error = ((hot - chance).abs() * judged).sum((1, 2, 3)) / judged.sum((1, 2, 3)) / 3
        better = error < best
        best, chosen = torch.where(better, error, best), torch.where(better.view(-1, 1, 1, 1), image, chosen)
    assert torch.allclose(found, chosen, atol=1e-6)
    assert asked.settings == {"protocol": "paper", "search": "exact", "criterion": "mae", "pattern_size": 0.02}
    assert asked.budget.value == pytest.approx(0.06)


def test_a_choice_measured_worse_gives_way_to_the_image_itself(monkeypatch):
    from percuss.defend import enhancing

    plain, model = images(2), segmenter().eval()
    batch = Batch(plain.images, plain.targets)
    wrong = (torch.ones(2, 3, dtype=torch.int8) * torch.tensor([[-1], [1]], dtype=torch.int8), torch.zeros(2))
    monkeypatch.setattr(enhancing.choosing, "quick", lambda *_, **__: wrong)
    target = Target(model, batch, Goal(), pixels=None)
    found = enhanced(target, batch, parse_budget("linf=0.3"), choice=Choice())
    with torch.no_grad():
        before, after = (cross_entropy(model(shown), plain.targets) for shown in (plain.images, found))
    assert (after <= before).all() and any(torch.equal(found[row], plain.images[row]) for row in range(2))


def test_unclipped_has_room_without_bounds():
    room = Unclipped(torch.rand(2, 3, 4, 4), torch.zeros(2, 4, 4)).room(torch.tensor([1]))
    assert room.low.shape == (1, 3, 4, 4) and room.low.max() == -torch.inf and room.high.min() == torch.inf


def test_the_union_has_three_times_the_images():
    plain, made = images(), images().images / 2
    plain.instances = torch.zeros(6, 12, 12, dtype=torch.int32)
    recipe = make_defence("both", Ground(Norm.LINF, 0.06), {})
    assert [one.name for one in recipe.methods(3)] == ["layered", "hypothesis"]
    found = recipe.joined(plain, {"layered": made, "hypothesis": made / 2})
    assert found.images.shape == (18, 3, 12, 12) and len(set(found.ids)) == len(found.groups) == 18
    assert torch.equal(found.images[6:12], made) and torch.equal(found.targets[12:], plain.targets)
    assert len(found.instances) == 18
    assert make_defence("layered", Ground(Norm.LINF, 0.06), {}).joined(plain, {"layered": made}).ids[0] == "0|layered"
    assert recipe.epochs(60) == 20 and recipe.epochs(1) == 1
    assert make_defence("both", Ground(Norm.LINF, 0.06), {"whole_epochs": True}).epochs(60) == 60


def test_what_cannot_be_honoured_is_refused():
    with pytest.raises(UsageError, match="pattern_size cannot be used"):
        method("hypothesis", pattern_size=0.1)
    with pytest.raises(UsageError, match="search cannot be used"):
        method("hypothesis", search="greedy")
    with pytest.raises(UsageError, match="no setting of this name"):
        method("layered", criterion="mae")
    with pytest.raises(BudgetError, match="cannot use this norm"):
        method("layered", "l1=3")
    with pytest.raises(UsageError, match="not for this task"):
        make_defence("both", Ground(Norm.LINF, 0.06), {}).check_task("classify")
