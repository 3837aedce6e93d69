"""Attacks on masks: exact on a segmenter that decides each pixel by itself, losses against torch's own."""

import pytest
import torch

from percuss.attacks import pixels
from percuss.attacks.engine import run_attack
from percuss.core import dense
from percuss.core.budget import parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import Tensors
from percuss.testing.exact import examples, linear_model, pixel_flips, pixel_model

ALL = {"early_stop": False}


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd", "segpgd", "cospgd", "apgd"])
@pytest.mark.parametrize("eps", [0.01, 0.05])
def test_exactly_the_pixels_that_can_flip_do(attack, eps):
    """Two classes: every pixel's best change is known, and the steepest step of all pixels at once reaches it."""
    model = pixel_model(classes=2)
    batch = examples(model, 6)
    swept = run_attack(attack, model, batch, [parse_budget(f"linf={eps}")], settings=ALL)
    with torch.no_grad():
        said = model(swept.images[f"linf={eps}"]).argmax(1)
    can = pixel_flips(model, batch, eps)
    assert can.any() and not can.all()
    assert torch.equal(said != batch.targets, can)


def test_success_is_a_quality_below_the_bar():
    model = pixel_model()
    batch = examples(model, 6)
    swept = run_attack("pgd", model, batch, [parse_budget("linf=0.05"), parse_budget("linf=0.4")])
    for row, image, truth in zip(
        swept.outcomes, [*swept.images["linf=0.05"], *swept.images["linf=0.4"]], [*batch.targets] * 2, strict=True
    ):
        quality = dense.quality(model(image[None]).argmax(1), truth[None], 3)
        assert row.success == bool(quality < dense.BAR)
    assert any(row.success for row in swept.outcomes)


def test_one_class_everywhere_can_be_asked_for():
    model = pixel_model()
    batch = examples(model, 4)
    swept = run_attack("pgd", model, batch, [parse_budget("none")], settings={"target": 2, "steps": 300})
    with torch.no_grad():
        said = model(swept.images["none"]).argmax(1)
    assert ((said == 2).double().mean((1, 2)) >= dense.REACHED).all()


def test_curve_and_single_attacks_agree_on_the_pixel_model():
    model = pixel_model()
    batch = examples(model, 6)
    budgets = [parse_budget(f"linf={size}") for size in (0.02, 0.05, 0.1, 0.2)]
    swept = run_attack("curve", model, batch, budgets)
    for budget in budgets:
        single = run_attack("apgd", model, batch, [budget])
        ours = [row.success for row in swept.outcomes if row.budget == budget.text]
        assert sum(ours) >= sum(row.success for row in single.outcomes)


def maps(values):
    return torch.tensor([[[0, 1], [2, 255]]]), torch.tensor(values, dtype=torch.float64).view(1, 3, 2, 2)


def test_losses_against_torch():
    torch.manual_seed(0)
    truth, logits = torch.randint(0, 3, (3, 5, 5)), torch.randn(3, 3, 5, 5, dtype=torch.float64)
    truth[0, 0, 0] = dense.IGNORE
    for i in range(3):
        here, own = logits[i : i + 1], truth[i : i + 1]
        usual = torch.nn.functional.cross_entropy(here, own, ignore_index=dense.IGNORE)
        assert pixels.LOSSES["ce"](here, own).item() == pytest.approx(usual.item())
    chance = logits.softmax(1).movedim(1, -1)[1].reshape(-1, 3)
    hot = torch.nn.functional.one_hot(truth[1].flatten(), 3).double()
    middle = (chance + hot) / 2
    first = (chance * (chance / middle).log()).sum(1)
    second = torch.special.xlogy(hot, hot / middle).sum(1)
    assert pixels.divergence(logits, truth)[1].item() == pytest.approx(((first + second) / 2).mean().item())


def test_masked_losses_leave_wrong_pixels_alone():
    truth, logits = maps([[4.0, 4, 0, 0], [0, 0, 0, 0], [0, 0, 4, 0]])  # right, wrong, right, not judged
    logits.requires_grad_(True)
    for loss in (pixels.masked_cross_entropy, pixels.balanced_cross_entropy):
        (slope,) = torch.autograd.grad(loss(logits, truth).sum(), logits)
        moved = slope.abs().sum(1)[0] > 0
        assert moved.tolist() == [[True, False], [True, False]]


def test_soft_dice_of_sure_answers_is_the_dice():
    torch.manual_seed(1)
    truth, said = torch.randint(0, 3, (4, 6, 6)), torch.randint(0, 3, (4, 6, 6))
    logits = torch.nn.functional.one_hot(said, 3).movedim(-1, 1).double() * 60
    assert torch.allclose(1 - pixels.soft_dice(logits, truth), dense.quality(said, truth, 3), atol=1e-9)


def test_segpgd_weighs_by_step_and_cospgd_by_nearness():
    truth, logits = maps([[3.0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0]])
    first = pixels.segpgd(truth, None, share=0.0)(logits)
    assert (first[0, :, 0, 1] == 0).all() and first[0, :, 0, 0].abs().sum() > 0
    later = pixels.segpgd(truth, None, share=0.5)(logits)
    assert torch.allclose(later, dense.direction(logits, truth))
    near = pixels.cospgd(truth, None)(logits)
    own = logits.softmax(1)[0, :, 0, 0]
    expected = dense.direction(logits, truth, weight=torch.ones(1, 2, 2))[0, :, 0, 0] * own[0] / own.norm()
    assert torch.allclose(near[0, :, 0, 0] / near[0, 0, 0, 1], expected / _other(logits, truth), rtol=1e-6)


def _other(logits, truth):
    own = logits.softmax(1)[0, :, 0, 1]
    return dense.direction(logits, truth)[0, 0, 0, 1] * own[1] / own.norm()


def test_attacks_refuse_the_other_kind_of_model():
    with pytest.raises(AttackError, match="the attack segpgd does not attack this kind of model: classify"):
        run_attack("segpgd", linear_model("two"), examples(linear_model("two")), [parse_budget("linf=0.1")])
    model = pixel_model()
    for name in ("fmn", "ddn", "sigma_zero", "standard", "as_autoattack"):
        with pytest.raises(AttackError, match=f"the attack {name} does not attack this kind of model: segment"):
            run_attack(name, model, examples(model), [parse_budget("l2=0.1")])


def test_an_unknown_loss_is_named_with_those_for_masks():
    model = pixel_model()
    with pytest.raises(AttackError, match="ce, masked, balanced, js, dice"):
        run_attack("apgd", model, examples(model), [parse_budget("linf=0.1")], settings={"loss": "dlr"})


def test_unjudged_pixels_bring_no_gradient():
    model = pixel_model()
    batch = examples(model, 3)
    truth = batch.targets.clone()
    truth[:, :3] = dense.IGNORE
    half = Tensors(batch.ids, batch.images, truth, batch.groups, batch.range)
    found = run_attack("pgd", model, half, [parse_budget("l2=0.5")], settings={**ALL, "steps": 3}).images["l2=0.5"]
    moved = (found - batch.images).abs()
    assert moved[:, :, 3:].mean() > 3 * moved[:, :, :3].mean()  # but for the random start


@pytest.mark.parametrize("attack", ["layered", "pgd"])
def test_without_a_ball_the_rows_hold_the_size_really_used(attack):
    """The paper's attack for evaluation: steps of one hundredth towards background everywhere, never projected."""
    model = pixel_model()
    batch = examples(model, 4)
    settings = {**ALL, "target": 0, "steps": 60, "step_size": 0.01, "keep": "last"}
    swept = run_attack(attack, model, batch, [parse_budget("none")], settings=settings)
    change = swept.images["none"].double() - batch.images.double()
    for row, moved in zip(swept.outcomes, change, strict=True):
        assert row.linf == pytest.approx(float(moved.abs().max()), abs=1e-7) and row.linf > 0.05
        assert row.l2 == pytest.approx(float(moved.norm()), rel=1e-6) and row.eps == float("inf")
        assert row.gradient_evaluations == 60


def test_layered_towards_one_class_is_the_loop_of_the_paper():
    model = pixel_model()
    batch = examples(model, 3)
    settings = {**ALL, "target": 0, "steps": 30, "step_size": 0.01, "keep": "last"}
    found = run_attack("layered", model, batch, [parse_budget("none")], settings=settings).images["none"]
    images = batch.images
    for _ in range(30):
        point = images.clone().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(model(point), torch.zeros_like(batch.targets, dtype=torch.long))
        (slope,) = torch.autograd.grad(loss, point)
        images = (images - 0.01 * slope.sign()).clamp(0, 1)
    assert torch.allclose(found, images, atol=1e-6)


def test_noise_is_no_stronger_than_what_can_flip_and_within_its_size():
    model = pixel_model(classes=2)
    batch = examples(model, 6)
    found = run_attack("noise", model, batch, [parse_budget("linf=0.05")], settings=ALL).images["linf=0.05"]
    with torch.no_grad():
        wrong = model(found).argmax(1) != batch.targets
    assert wrong.any() and not (wrong & ~pixel_flips(model, batch, 0.05)).any()
    assert torch.allclose((found - batch.images).abs().flatten(1).amax(1), torch.tensor(0.05), atol=1e-6)
