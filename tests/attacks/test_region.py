"""Attacks limited to a region: nothing changes outside, and inside nothing is lost."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from percuss import attack, curve, smallest
from percuss.attacks.engine import run_attack
from percuss.attacks.target import Attempt
from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.core.model import Model
from percuss.core.norms import Room, distance, random_start
from percuss.core.seeds import ImageRandom
from percuss.testing.exact import examples, linear_model, smallest_step

BUDGETS = ("linf=0.02", "l2=0.3", "l1=2", "l0=10%", "none")


@pytest.fixture(scope="module")
def case():
    model = linear_model("three")
    data = examples(model)
    region = torch.zeros(data.images.shape[2:], dtype=torch.bool)
    region[:, : region.shape[1] // 2] = True
    return model, data, region


@pytest.mark.parametrize("name", ["pgd", "foote", "noise", "curve", "standard", "apgd", "square", "fmn"])
@pytest.mark.parametrize("text", BUDGETS)
def test_nothing_changes_outside(case, name, text):
    model, data, region = case
    if (name == "square" and text != "linf=0.02") or (name == "fmn" and text == "none"):
        return
    found = attack(name, model, data.images, data.targets, text, region=region)
    change = found - data.images
    assert bool((change[:, :, ~region] == 0).all())
    assert bool((change[:, :, region] != 0).any())


@pytest.mark.parametrize("text", ["linf=0.02", "l2=0.3", "l1=2", "l0=10%"])
def test_as_strong_as_on_a_model_that_sees_only_the_region(case, text):
    """The best attack in a region is the best attack on a model whose weights are zero elsewhere."""
    model, data, region = case

    class Seen(nn.Module):
        def __init__(self, clean):
            super().__init__()
            self.clean = clean

        def forward(self, images):
            return model(torch.where(region, images, self.clean))

    for i in range(4):
        one, target = data.images[i : i + 1], data.targets[i : i + 1]
        limited = attack("pgd", model, one, target, text, region=region, early_stop=False, steps=30)
        seen = attack("pgd", Seen(one), one, target, text, early_stop=False, steps=30)
        with torch.no_grad():
            shown = [model(torch.where(region, x, one)) for x in (limited, seen)]
        losses = [float(nn.functional.cross_entropy(logits, target)) for logits in shown]
        assert losses[0] >= losses[1] * (1 - 1e-3)


def test_each_image_may_have_its_own_and_curves_know_it(case):
    model, data, region = case
    own = torch.stack([region if i % 2 else ~region for i in range(len(data.images))])
    found = attack("curve", model, data.images, data.targets, "linf=0.05", region=own)
    assert bool(((found - data.images)[~own.unsqueeze(1).expand_as(found)] == 0).all())
    free = curve(model, data.images, data.targets, "linf", [0.05])
    assert bool((free.images[0] - data.images)[:, :, ~region].any())


def test_an_attack_that_knows_nothing_of_regions_is_kept_inside(case):
    model, data, region = case

    def bold(target, batch, budget, *, rng):
        """Everything up."""
        return Attempt((batch.images + 0.02).clamp(0, 1))

    limited = data.__class__(data.ids, data.images, data.targets, data.groups, data.range)
    limited.region = region.expand(len(data.ids), -1, -1)
    swept = run_attack(bold, model, limited, [parse_budget("linf=0.02")], allow_silent=True)
    change = swept.images["linf=0.02"] - data.images
    assert bool((change[:, :, ~region] == 0).all())
    assert bool((swept.stored["linf=0.02"] - data.images)[:, :, ~region].eq(0).all())


@pytest.mark.parametrize("norm, size", [(Norm.L2, 0.5), (Norm.L1, 3.0), (Norm.L0, 0.1), (Norm.LINF, 0.1)])
def test_random_starts_spend_their_size_inside(norm, size):
    images = torch.full((3, 1, 16, 16), 0.5)
    region = torch.zeros(3, 16, 16, dtype=torch.bool)
    region[:, 4:9, 4:10] = True
    ids = ["a", "b", "c"]
    whole = distance(norm, random_start(norm, size, Room.of(images), ImageRandom(0, ids, "x")))
    inside = random_start(norm, size, Room.of(images, region), ImageRandom(0, ids, "x"))
    assert bool((inside[:, 0][~region] == 0).all())
    assert bool((distance(norm, inside) >= 0.5 * whole).all())


@pytest.mark.parametrize("region", [torch.ones(3, 3, dtype=torch.bool), torch.ones(8, 8), "tissue"])
def test_regions_that_do_not_fit_are_refused(case, region):
    model, data, _ = case
    with pytest.raises(DataError, match="region"):
        attack("fgsm", model, data.images, data.targets, "linf=0.1", region=region, pixels=PixelRange())


@pytest.mark.parametrize(("name", "settings"), [("apgd", {"steps": 60}), ("square", {"queries": 60})])
def test_the_size_is_used_inside(case, name, settings):
    model, data, region = case
    found = attack(name, model, data.images, data.targets, "l2=1", region=region, early_stop=False, **settings)
    assert bool(((found - data.images).flatten(1).norm(dim=1) > 0.8).all())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_the_smallest_change_inside_is_that_of_a_model_that_sees_only_the_region(case, norm):
    model, data, region = case
    found = smallest(model, data.images, data.targets, norm, region=region)
    change = found.images - data.images
    assert bool((change[:, :, ~region] == 0).all()) and bool(found.success.any())
    hidden = torch.nn.Linear(3 * 6 * 6, 3)
    # Outside the region the model is blind: its weights there go into a bias of each image, so one image at a time.
    first = int(found.success.nonzero()[0])
    weight = model.network[1].weight.detach().view(3, 3, 6, 6)
    with torch.no_grad():
        hidden.weight.copy_((weight * region).flatten(1))
        rest = (weight * ~region * data.images[first]).flatten(1).sum(1)
        hidden.bias.copy_(model.network[1].bias + rest)
    seen = Model(nn.Sequential(nn.Flatten(), hidden), model.info)
    alone = replace(data, ids=["one"], images=data.images[first : first + 1], targets=data.targets[first : first + 1])
    wanted = float(smallest_step(seen, alone, Norm(norm))[0])
    assert wanted * (1 - 1e-4) <= float(found.sizes[first]) <= wanted * 1.01
    free = smallest(model, data.images, data.targets, norm)
    assert bool((free.sizes <= found.sizes * 1.001).all())


@pytest.mark.parametrize("effort", ["quick", "thorough"])
@pytest.mark.parametrize("norm", ["linf", "l0"])
def test_curves_stay_inside(case, effort, norm):
    model, data, region = case
    own = torch.stack([region if i % 2 else ~region for i in range(len(data.images))])
    sizes = [0.02, 0.1] if norm == "linf" else ["3%", "10%"]
    limited = curve(model, data.images, data.targets, norm, sizes, effort=effort, region=own)
    for images in limited.images:
        assert bool(((images - data.images)[~own.unsqueeze(1).expand_as(images)] == 0).all())
        assert bool((images != data.images).any())
    free = curve(model, data.images, data.targets, norm, sizes, effort=effort)
    assert bool((free.smallest <= limited.smallest).all())


@pytest.mark.parametrize("function", [curve, smallest])
def test_a_region_that_does_not_fit_is_refused_everywhere(case, function):
    model, data, _ = case
    more = ([0.1],) if function is curve else ()
    with pytest.raises(DataError, match="region"):
        function(model, data.images, data.targets, "linf", *more, region=torch.ones(3, 3, dtype=torch.bool))
