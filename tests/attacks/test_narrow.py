"""narrow against closed forms on a segmenter that decides each pixel by itself, and on a small trained one."""

import pytest
import torch

import percuss
from percuss.attacks.engine import run_attack
from percuss.attacks.narrow import wrong_share
from percuss.core.budget import Norm, parse_budget
from percuss.core.dense import BAR, IGNORE, agreement, everywhere, quality
from percuss.core.errors import AttackError, PercussError
from percuss.core.images import PixelRange, Tensors
from percuss.core.norms import distance
from percuss.testing.exact import budget_of, examples, linear_model, pixel_flips, pixel_model, pixel_smallest

#: How far above the exact size the worst of six images may be.
LOOSE = {Norm.LINF: 1.01, Norm.L2: 1.2, Norm.L1: 2.2, Norm.L0: 1.0}


def decided(model, images):
    with torch.no_grad():
        return model(images).argmax(1)


@pytest.mark.parametrize("norm", list(LOOSE))
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_share_of_the_pixels_by_the_closed_form(norm, share):
    model = pixel_model(classes=2)
    batch = examples(model, 6)
    found = percuss.smallest(model, batch.images, batch.targets, norm, share=share)
    exact = torch.from_numpy(pixel_smallest(model, batch, norm, share=share))
    ratio = found.sizes / exact
    assert found.success.all() and found.attack == "narrow"
    assert float(ratio.min()) >= 1 - 1e-4 and float(ratio.max()) <= LOOSE[norm]
    with torch.no_grad():
        assert (wrong_share(model(found.images), batch.targets) >= share).all()
    assert torch.allclose(distance(norm, found.images.double() - batch.images.double()), found.sizes, rtol=1e-4)


def quality_after(model, one, eps):
    flips = pixel_flips(model, one, eps)
    return float(quality(torch.where(flips, 1 - one.targets, one.targets), one.targets, 2)[0])


def test_the_quality_by_the_closed_form():
    """Of two classes every flip lowers the Dice, so the smallest size is where all that can flip are enough."""
    model = pixel_model(classes=2)
    batch = examples(model, 6)
    found = percuss.smallest(model, batch.images, batch.targets, "linf")
    for i, size in enumerate(found.sizes.tolist()):
        one = Tensors([batch.ids[i]], batch.images[i : i + 1], batch.targets[i : i + 1], [None], PixelRange())
        assert quality_after(model, one, size * 0.998) >= BAR > quality_after(model, one, size * 1.0001)


def test_sizes_do_not_depend_on_batch_mates_or_scale():
    batch = examples(pixel_model(), 6)
    sizes = [
        percuss.smallest(pixel_model(scale=scale), batch.images, batch.targets, "l2", steps=30, batch_size=size).sizes
        for scale, size in ((1.0, 6), (1.0, 1), (1e3, 6))
    ]
    assert torch.allclose(sizes[0], sizes[1], rtol=1e-3) and torch.allclose(sizes[0], sizes[2], rtol=1e-3)


def test_one_class_everywhere():
    model = pixel_model()
    batch = examples(model, 4)
    found = percuss.smallest(model, batch.images, batch.targets, "linf", target=0)
    assert found.success.all()
    assert (agreement(decided(model, found.images), everywhere(batch.targets, 0)) >= 0.99).all()


def test_below_what_auto_pgd_needs_on_a_network(segmenter):
    model, batch = segmenter
    found = percuss.smallest(model, batch.images, batch.targets, "linf")
    assert found.success.all()
    assert (quality(decided(model, found.images), batch.targets, 3) < BAR).all()
    held = 0
    for i, size in enumerate(found.sizes.tolist()[:4]):
        one = Tensors([batch.ids[i]], batch.images[i : i + 1], batch.targets[i : i + 1], [None], PixelRange())
        held += not run_attack("apgd", model, one, [budget_of(Norm.LINF, size * 0.95)]).outcomes[0].success
    assert held >= 3


def test_as_an_attack_it_stays_within_the_budget_and_flips_from_the_size_on():
    model = pixel_model(classes=2)
    batch = examples(model, 4)
    sizes = percuss.smallest(model, batch.images, batch.targets, "linf").sizes.tolist()
    for i, size in enumerate(sizes):
        one = Tensors([batch.ids[i]], batch.images[i : i + 1], batch.targets[i : i + 1], [None], PixelRange())
        budgets = [budget_of(Norm.LINF, size * 0.99), budget_of(Norm.LINF, size * 1.01)]
        assert [row.success for row in run_attack("narrow", model, one, budgets).outcomes] == [False, True]


def test_wrong_from_the_start_and_unjudged_pixels():
    model = pixel_model(classes=2)
    batch = examples(model, 3)
    found = percuss.smallest(model, batch.images, 1 - batch.targets, "linf")
    assert found.sizes.tolist() == [0, 0, 0] and not found.success.any()
    truth = batch.targets.clone()
    truth[:, 3:] = IGNORE
    half = Tensors(batch.ids, batch.images[:, :, :3], batch.targets[:, :3], batch.groups, batch.range)
    found = percuss.smallest(model, batch.images, truth, "linf", share=0.3)
    exact = torch.from_numpy(pixel_smallest(model, half, Norm.LINF, share=0.3))
    assert torch.allclose(found.sizes, exact, rtol=0.01)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"share": 0}, "share is out of range"), ({"share": 1.5}, "share"), ({"steps": 1}, "steps is too small")],
)
def test_settings_without_meaning(settings, words):
    model = pixel_model()
    with pytest.raises(AttackError, match=words):
        run_attack("narrow", model, examples(model, 2), [parse_budget("linf=0.1")], settings=settings)


def test_attacks_for_the_other_kind_are_refused():
    model, plain = pixel_model(), linear_model("two")
    batch, single = examples(model, 2), examples(plain, 2)
    with pytest.raises(PercussError, match="fmn does not attack this kind of model"):
        percuss.smallest(model, batch.images, batch.targets, "linf", attack="fmn")
    with pytest.raises(PercussError, match="narrow does not attack this kind of model"):
        percuss.smallest(plain, single.images, single.targets, "linf", attack="narrow")
