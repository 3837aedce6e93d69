"""remove and hallucinate: exact on a segmenter that decides each pixel by itself, judged by measured rates."""

import math

import pytest
import torch

import percuss
from percuss.attacks.aims import Aim, Aimed, Known
from percuss.attacks.engine import run_attack
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import parse_budget
from percuss.core.dense import IGNORE, confusion
from percuss.core.errors import AttackError
from percuss.core.images import Tensors
from percuss.testing.exact import examples, linear_model, pixel_flips, pixel_model

ALL = {"early_stop": False, "steps": 40}


def decided(model, images):
    with torch.no_grad():
        return model(images).argmax(1)


@pytest.mark.parametrize("text", ["linf=0.02", "linf=0.06"])
def test_of_two_classes_exactly_the_pixels_that_can_be_removed_are(text):
    model = pixel_model(classes=2)
    batch = examples(model, 6)
    found = run_attack("remove", model, batch, [parse_budget(text)], settings=ALL).images[text]
    can = pixel_flips(model, batch, float(text[5:])) & (batch.targets == 1)
    assert can.any() and not torch.equal(can, batch.targets == 1)
    assert torch.equal(decided(model, found) != batch.targets, can)


@pytest.mark.parametrize("text", ["linf=0.02", "linf=0.06"])
def test_of_two_classes_exactly_the_pixels_that_can_be_hallucinated_are(text):
    model = pixel_model(classes=2)
    batch = examples(model, 6)
    swept = run_attack("hallucinate", model, batch, [parse_budget(text)], settings=ALL)
    can = pixel_flips(model, batch, float(text[5:])) & (batch.targets == 0)
    assert torch.equal(decided(model, swept.images[text]) != batch.targets, can)


def test_into_any_other_class_reaches_what_can_flip():
    model = pixel_model(classes=3)
    batch = examples(model, 6)
    found = run_attack(
        "remove", model, batch, [parse_budget("linf=0.05")], settings={**ALL, "victim": 2, "into": "other"}
    )
    gone = (decided(model, found.images["linf=0.05"]) != 2) & (batch.targets == 2)
    can = pixel_flips(model, batch, 0.05) & (batch.targets == 2)
    assert not (gone & ~can).any()  # nothing beyond what is possible
    assert gone.sum() >= 0.9 * can.sum()


@pytest.mark.parametrize(("name", "row", "column"), [("remove", 1, 0), ("hallucinate", 0, 1)])
def test_a_change_without_limit_reaches_the_aim_and_spares_the_rest(name, row, column):
    model = pixel_model()
    batch = examples(model, 6)
    budget = parse_budget("linf=1")
    swept = run_attack(name, model, batch, [budget], settings={**ALL, "steps": 100})
    table = confusion(decided(model, swept.images["linf=1"]), batch.targets, 3).sum(0)
    assert table[row, column] >= 0.99 * table[row].sum()
    for other in {0, 1, 2} - {row}:
        assert table[other, other] >= 0.99 * table[other].sum()
    # The engine's verdict is quality, as for every attack: an image may be safe by it though all of a class is gone.
    if name == "remove":
        assert all(r.success == (r.margin > 0) for r in swept.outcomes)


def test_a_class_that_is_not_in_the_truth_can_be_hallucinated():
    """The mean Dice of the truth's classes does not see it, so the engine must compare images by the aim."""
    model = pixel_model()
    batch = examples(model, 6)
    truth = torch.where(batch.targets == 2, IGNORE, batch.targets)
    some = Tensors(batch.ids, batch.images, truth, batch.groups, batch.range)
    swept = run_attack("hallucinate", model, some, [parse_budget("linf=0.25")], settings={"victim": 2})
    said = decided(model, swept.images["linf=0.25"])
    before = decided(model, batch.images)
    assert ((said == 2) & (truth == 0)).sum() > 0.5 * (truth == 0).sum()
    assert not ((before == 2) & (truth == 0)).any()


def test_larger_sizes_change_no_less():
    model = pixel_model()
    batch = examples(model, 6)
    budgets = [parse_budget(f"linf={size}") for size in (0.01, 0.03, 0.1)]
    swept = run_attack("remove", model, batch, budgets, settings={"victim": "1"})
    rates = []
    for budget in budgets:
        with torch.no_grad():
            rates.append(Aim("remove", 1).rate(model(swept.images[budget.text]), batch.targets))
    assert (rates[1] >= rates[0]).all() and (rates[2] >= rates[1]).all() and rates[2].mean() > rates[0].mean()


def test_an_image_is_done_when_nearly_all_changed_not_when_more_changed_than_was_spoiled():
    model = pixel_model()
    batch = Batch(*(getattr(examples(model, 1), name) for name in ("images", "targets")))
    aimed = Aimed(Target(model, batch, Goal(), pixels=None), batch, Aim("remove", 1))
    wanted = torch.where(batch.targets == 1, 0, batch.targets.long())
    half = torch.where((batch.targets == 1).flatten().cumsum(0).view_as(wanted) % 2 == 0, wanted, batch.targets.long())
    for shown, done in ((half, False), (wanted, True)):
        logits = torch.nn.functional.one_hot(shown, 3).movedim(-1, 1).float()
        verdict, margin = aimed.verdict(logits, torch.arange(1))
        assert bool(verdict) is bool(aimed.done(logits, torch.arange(1))) is done and margin > 0


def test_nothing_to_change_leaves_the_image_with_a_note():
    model = pixel_model()
    batch = examples(model, 4)
    truth = batch.targets.clone()
    truth[2][truth[2] == 1] = IGNORE
    some = Tensors(batch.ids, batch.images, truth, batch.groups, batch.range)
    swept = run_attack("remove", model, some, [parse_budget("linf=0.1")], settings=ALL)
    assert torch.equal(swept.images["linf=0.1"][2], batch.images[2])
    assert not torch.equal(swept.images["linf=0.1"][1], batch.images[1])
    assert swept.notes == ["1 images hold no pixel of 1 to change and stay as they are, first image-2"]
    assert swept.outcomes[2].gradient_evaluations == 0


def test_within_a_region_only_its_background_counts():
    model = pixel_model()
    batch = examples(model, 4)
    batch.region = torch.zeros(4, 6, 6, dtype=torch.bool)
    batch.region[:, :, :3] = True
    aim = Aim("hallucinate", 1)
    assert torch.equal(aim.places(batch.targets, batch.region), (batch.targets == 0) & batch.region)
    found = run_attack("hallucinate", model, batch, [parse_budget("linf=1")], settings={**ALL, "steps": 100})
    said = decided(model, found.images["linf=1"])
    assert ((said == 1) | ~aim.places(batch.targets, batch.region)).all()
    assert torch.equal(said[:, :, 3:], batch.targets[:, :, 3:])


def test_the_slope_is_that_of_the_weighted_cross_entropy():
    """Where all pixels to change are equally far, none weighs less for it."""
    torch.manual_seed(0)
    truth = torch.randint(0, 3, (2, 4, 4))
    truth[0, 0, 0] = IGNORE
    logits = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    logits[:, 1] = torch.where(truth == 1, logits[:, [0, 2]].amax(1), logits[:, 1])
    logits[:, 0] = torch.where(truth == 1, logits[:, 1] - 0.5, logits[:, 0])
    before = logits.argmax(1)
    aim = Aim("remove", 1, rest=0.3)
    point = logits.clone().requires_grad_(True)
    wanted = torch.where(truth == 1, 0, torch.where(truth == IGNORE, truth, before))
    each = torch.nn.functional.cross_entropy(point, wanted, ignore_index=IGNORE, reduction="none")
    own, others = truth == 1, (truth != 1) & (truth != IGNORE)
    loss = sum(math.exp(-3) * each[i][own[i]].mean() + 0.3 * each[i][others[i]].mean() for i in range(2))
    (slope,) = torch.autograd.grad(-loss, point)
    found = aim.slope(Known(truth, before))(logits)
    for i in range(2):  # the same direction, each image in a scale of its own
        assert torch.allclose(found[i] / found[i].norm(), slope[i] / slope[i].norm(), atol=1e-12)


def test_pixels_that_are_far_from_the_aim_weigh_less():
    truth = torch.tensor([[[1, 1, 1, 0]]])
    logits = torch.tensor([[[-1.0, -9, 1, 5], [0, 0, 0, 0], [-20, -20, -20, -20]]]).view(1, 3, 1, 4)
    slope = Aim("remove", 1).slope(Known(truth, logits.argmax(1)))(logits)[0].abs().sum(0)[0]
    assert slope[0] > 5 * slope[1] > 0 and slope[3] < slope[2]


def test_the_score_counts_what_else_changes():
    truth = torch.tensor([[[1, 1, 0, 0], [2, 2, 0, IGNORE]]])
    before = torch.tensor([[[1, 1, 0, 0], [2, 1, 0, 0]]])  # one pixel of class 2 was wrong before: it should stay
    said = torch.tensor([[[0, 1, 0, 2], [2, 1, 0, 0]]])
    logits, known = torch.nn.functional.one_hot(said, 3).movedim(-1, 1).float(), Known(truth, before)
    assert Aim("remove", 1).rate(logits, truth).tolist() == [0.5]
    assert Aim("remove", 1).score(logits, known).tolist() == [pytest.approx(0.5 - 1 / 5)]
    assert Aim("remove", 1, rest=0).score(logits, known).tolist() == [0.5]
    assert Aim("remove", 2, into="other").rate(logits, truth).tolist() == [0.5]
    assert Aim("hallucinate", 2).rate(logits, truth).tolist() == [pytest.approx(1 / 3)]
    assert Aim("remove", 1).rate(logits, torch.zeros_like(truth)).tolist() == [0.0]


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("remove", {"victim": 0}, r"no such class to attack: 0.*1 \(1\), 2 \(2\)"),
        ("remove", {"victim": 7}, "no such class to attack: 7"),
        ("hallucinate", {"victim": "nuclei"}, "no such class to attack: nuclei"),
        ("remove", {"into": "sky"}, "background, other"),
        ("remove", {"rest": -1}, "rest is too small"),
        ("hallucinate", {"target": 1}, "the setting target has no meaning here"),
        ("remove", {"confidence": 0.9}, "the setting confidence has no meaning here"),
    ],
)
def test_settings_without_meaning(name, settings, words):
    model = pixel_model()
    with pytest.raises(AttackError, match=words):
        run_attack(name, model, examples(model, 2), [parse_budget("linf=0.1")], settings=settings)


def test_from_tensors_and_only_for_masks():
    model = pixel_model()
    batch = examples(model, 2)
    found = percuss.attack("remove", model, batch.images, batch.targets, "linf=0.1", victim=1)
    assert not torch.equal(found, batch.images)
    plain = linear_model("two")
    with pytest.raises(AttackError, match="does not attack this kind of model: classify"):
        run_attack("remove", plain, examples(plain), [parse_budget("linf=0.1")])
