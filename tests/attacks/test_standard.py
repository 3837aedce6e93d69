"""The standard suite: at least as strong as its parts and as APGD at each size, for any number of classes, honest."""

import numpy as np
import pytest
import torch
from torch import nn

from percuss.attacks.cascade import Closer, closers
from percuss.attacks.engine import run_attack
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import Norm
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.testing.exact import budget_of

SIZES = {
    "linf": [budget_of(Norm.LINF, n / 255) for n in (0.5, 1, 1.5, 2, 3, 4)],
    "l2": [budget_of(Norm.L2, size) for size in (0.03, 0.06, 0.1, 0.15, 0.2)],
}


class Rough(nn.Module):
    """Many bumps, so that ten steps are often not enough."""

    def __init__(self, classes, outputs=None):
        super().__init__()
        torch.manual_seed(2)
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 3),
            nn.Tanh(),
            nn.Conv2d(16, 16, 3, stride=2),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(400, outputs or classes),
        )

    def forward(self, images):
        return self.net(images * 14) * 3


def rough(classes=4, count=32, task="classify", outputs=None):
    names = tuple("abcdefghij"[:classes])
    model = Model(Rough(classes, outputs), ModelInfo("rough", task, names, 3))
    images = (torch.rand(count, 3, 14, 14, generator=torch.Generator().manual_seed(1)) * 255).round() / 255
    with torch.no_grad():
        logits = model(images)
    if task == "multilabel":
        targets = (logits > 0).long()
    else:
        targets = (logits[:, 0] > 0).long() if outputs == 1 else logits.argmax(1)
    return model, Tensors([f"i{n}" for n in range(count)], images, targets, [None] * count, PixelRange())


def flips(swept, name="success"):
    table = {}
    for row in swept.outcomes:
        table.setdefault(row.budget, []).append(bool(getattr(row, name)))
    return np.array(list(table.values()))


@pytest.mark.parametrize("norm", SIZES)
def test_never_weaker_than_its_search_nor_than_apgd_at_each_size(norm):
    model, batch = rough()
    found = flips(run_attack("standard", model, batch, SIZES[norm]))
    search = flips(run_attack("curve", model, batch, SIZES[norm]))
    assert (found >= search).all()
    for loss in ("ce", "margin", "targeted"):
        steps = {"steps": 50, "loss": loss}
        apart = [flips(run_attack("apgd", model, batch, [size], settings=steps))[0].sum() for size in SIZES[norm]]
        assert (found.sum(1) >= np.array(apart) - 1).all() and found.sum() >= sum(apart) - 1


@pytest.mark.parametrize("norm", [Norm.L1, Norm.L0])
def test_smallest_changes_make_l1_and_l0_stronger(norm):
    model, batch = rough(count=16)
    sizes = [
        budget_of(norm, size) for size in ((0.3, 0.6, 1, 1.5) if norm is Norm.L1 else (0.006, 0.011, 0.016, 0.021))
    ]
    found = flips(run_attack("standard", model, batch, sizes, settings={"effort": "quick"}))
    search = flips(run_attack("curve", model, batch, sizes, settings={"effort": "quick"}))
    assert (found >= search).all() and found.sum() > search.sum()


def test_verdicts_hold_and_batches_do_not_matter():
    model, batch = rough(count=12)
    swept = run_attack("standard", model, batch, SIZES["linf"])
    for budget in SIZES["linf"]:
        at = [row for row in swept.outcomes if row.budget == budget.text]
        wrong = model(swept.images[budget.text]).argmax(1) != batch.targets
        assert [row.success for row in at] == wrong.tolist()
        change = (swept.images[budget.text] - batch.images).abs().amax((1, 2, 3))
        assert (change <= budget.eps((3, 14, 14)) * (1 + 1e-4) + 1e-7).all()
        assert all(row.gradient_evaluations <= row.model_evaluations for row in at)
    assert (np.diff(flips(swept).astype(int), axis=0) >= 0).all()
    assert (flips(run_attack("standard", model, batch, SIZES["linf"], batch_size=3)) == flips(swept)).all()
    assert any(note.startswith("standard: after the search, sizes flipped by apgd ce ") for note in swept.notes)


@pytest.mark.parametrize("classes", (2, 3, 4, 6, 9, 10))
def test_any_number_of_classes(classes):
    model, batch = rough(classes, count=6)
    found = flips(run_attack("standard", model, batch, SIZES["linf"], settings={"effort": "quick"}))
    assert found.sum() > 0
    few = {"steps": 10, "queries": 20}
    single = flips(run_attack("as_autoattack", *rough(classes, count=2), SIZES["linf"][-1:], settings=few))
    assert single.shape == (1, 2)


@pytest.mark.parametrize(("classes", "task", "outputs"), [(2, "classify", 1), (5, "multilabel", 5)])
def test_one_logit_and_several_labels(classes, task, outputs):
    model, batch = rough(classes, 12, task, outputs)
    found = flips(run_attack("standard", model, batch, SIZES["linf"]))
    single = flips(run_attack("apgd", model, batch, SIZES["linf"][-1:], settings={"steps": 50}))
    assert found[-1].sum() >= single.sum() > 0


def test_order_and_what_is_left_out():
    def labels(classes, effort, goal=None, task="classify", norm=Norm.LINF):
        model, batch = rough(classes, 2, task)
        given = Batch(batch.images, batch.targets)
        return [closer.label for closer in closers(effort, Target(model, given, goal or Goal(), pixels=None), norm)]

    assert labels(2, "quick") == ["apgd ce", "apgd margin"]
    assert labels(3, "standard") == ["apgd ce", "apgd margin", "apgd targeted", "square"]
    assert labels(3, "standard", Goal(target=1)) == ["apgd ce", "apgd margin", "square"]
    assert labels(2, "thorough", task="multilabel")[2] == "apgd targeted"
    assert labels(2, "quick", norm=Norm.L0) == ["sigma_zero", "apgd ce", "apgd margin"]
    assert labels(2, "quick", norm=Norm.L1)[0] == "fmn"
    assert labels(2, "thorough", norm=Norm.L2) == ["apgd ce", "apgd margin", "ddn", "square"]
    with pytest.raises(AttackError, match="unknown effort: hard"):
        labels(3, "hard")
    some = Closer("square", None, {}, share=0.25)
    assert 60 < sum(some.tries(f"image {n}") for n in range(400)) < 140


class Rounded(nn.Module):
    """Rounds its input to few levels; a straight-through gradient of the wrong sign hides that it is weak."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images):
        coarse = (images * 24).round() / 24
        return self.inner(coarse.detach() - 1e-3 * (images - images.detach()))


def test_images_that_only_questions_flip_are_named():
    model, batch = rough(3, count=24)
    masked = Model(Rounded(model), ModelInfo("masked", "classify", model.classes, 3))
    with torch.no_grad():
        targets = masked(batch.images).argmax(1)
    batch = Tensors(batch.ids, batch.images, targets, batch.groups, PixelRange())
    size = [budget_of(Norm.LINF, 6 / 255)]
    swept = run_attack("standard", masked, batch, size, settings={"effort": "thorough"})
    assert swept.queried and set(swept.queried) <= set(batch.ids)
    assert all(row.success for row in swept.outcomes if row.id in swept.queried)
    honest = run_attack("standard", model, rough(3, count=24)[1], size, settings={"effort": "thorough"})
    assert not honest.queried
