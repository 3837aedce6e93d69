"""Search among storable images: what comes back is at native levels, within the budget, and flips as stored."""

import pytest
import torch

from percuss import attack
from percuss.attacks.engine import run_attack
from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.norms import distance
from percuss.core.stored import as_stored
from percuss.testing.exact import examples, linear_model

CT = PixelRange(-1350, 150, 1, "HU")
CASES = [("linf=2/255", PixelRange()), ("linf=5HU", CT), ("l2=0.08", PixelRange()), ("l1=0.3", PixelRange()),
         ("l0=5%", PixelRange()), ("none", PixelRange()), ("l2=0.05", PixelRange(0, 65535))]  # fmt: skip


def at_levels(pixels):
    model = linear_model("three")
    data = examples(model)
    images = (data.images.double() * pixels.levels).round() / pixels.levels
    return model, Tensors(data.ids, images.float(), data.targets, data.groups, pixels)


@pytest.mark.parametrize("name", ["pgd", "noise", "curve", "standard"])
@pytest.mark.parametrize("text, pixels", CASES)
def test_flips_as_float_are_flips_as_stored(name, text, pixels):
    model, data = at_levels(pixels)
    budget = parse_budget(text)
    swept = run_attack(name, model, data, [budget], settings={"rounding": "native"}, allow_silent=True)
    found = swept.images[text]
    native = found.double() * pixels.levels
    assert float((native - native.round()).abs().max()) < 5e-3
    assert torch.equal(as_stored(data.images, found, budget, pixels), found)
    assert torch.equal(swept.stored[text], found)
    assert all(row.success == row.success_stored for row in swept.outcomes)
    if budget.norm is not Norm.NONE:
        size = distance(budget.norm, found.double() - data.images.double())
        assert bool((size <= budget.eps(found.shape[1:], pixels) * (1 + 1e-5) + 1e-6).all())
    plain = run_attack(name, model, data, [budget], allow_silent=True)
    if name in ("pgd", "curve"):  # nothing that was found as stored is lost
        lost = sum(
            a.success_stored and not b.success_stored for a, b in zip(plain.outcomes, swept.outcomes, strict=True)
        )
        assert lost <= 1


def test_images_between_levels_are_refused():
    model, data = at_levels(PixelRange())
    off = (data.images + 0.3 / 255).clamp(0, 1)
    with pytest.raises(AttackError, match="levels"):
        attack("pgd", model, off, data.targets, "linf=8/255", rounding="native")
    with pytest.raises(AttackError, match="rounding"):
        attack("pgd", model, data.images, data.targets, "linf=8/255", rounding="up")
