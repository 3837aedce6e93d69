"""The search over all sizes at once: exact on linear models, honest, as strong as single attacks, and cheaper."""

import numpy as np
import pytest
import torch
from torch import nn

from percuss.attacks.descent import Descent
from percuss.attacks.effort import EFFORTS, Effort
from percuss.attacks.engine import run_attack
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import Norm
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.seeds import ImageRandom
from percuss.testing.exact import budget_of, examples, linear_model, smallest_step

SHARES = (0.25, 0.5, 0.7, 0.9, 0.99, 1.01, 1.1, 1.5, 2, 4)


def sizes_for(model, batch, norm):
    """Sizes around the smallest step of the middle image; l0 has only whole pixels."""
    middle = float(np.median(smallest_step(model, batch, norm)))
    return [middle * share for share in SHARES] if norm is not Norm.L0 else [i / 36 for i in range(1, 11)]


@pytest.mark.parametrize("kind", ["two", "single"])
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2, Norm.L1, Norm.L0])
def test_smallest_size_is_exact_on_linear_models(kind, norm):
    model = linear_model(kind)
    batch = examples(model, 12)
    sizes = sizes_for(model, batch, norm)
    exact = smallest_step(model, batch, norm)
    swept = run_attack("curve", model, batch, [budget_of(norm, size) for size in sizes])
    for row in swept.outcomes:
        at = exact[batch.ids.index(row.id)]
        if row.eps >= at * 1.005:
            assert row.success, f"{row.id} at {row.eps}, exact {at}"
        if row.eps < at * (1 - 1e-5):
            assert not row.success


def test_no_limit_at_all():
    model = linear_model("three")
    batch = examples(model, 6)
    swept = run_attack("curve", model, batch, [budget_of(Norm.NONE, 1)])
    assert all(row.success and row.success_stored for row in swept.outcomes)


class Bumpy(nn.Module):
    """Small, far from linear, and the same everywhere."""

    def __init__(self, classes=3):
        super().__init__()
        torch.manual_seed(5)
        self.net = nn.Sequential(
            nn.Conv2d(3, 12, 3),
            nn.Tanh(),
            nn.Conv2d(12, 12, 3, stride=2),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(300, classes),
        )

    def forward(self, images):
        return self.net(images * 6) * 3


def bumpy(count=24):
    model = Model(Bumpy(), ModelInfo("bumpy", "classify", ("a", "b", "c"), 3))
    images = (torch.rand(count, 3, 14, 14, generator=torch.Generator().manual_seed(1)) * 255).round() / 255
    with torch.no_grad():
        targets = model(images).argmax(1)
    targets[0] = (targets[0] + 1) % 3  # one image is wrong from the start
    return model, Tensors([f"i{n}" for n in range(count)], images, targets, [None] * count, PixelRange())


LINF = [budget_of(Norm.LINF, n / 255) for n in (0.25, 0.5, 1, 2, 3, 4, 6, 8)]
L2 = [budget_of(Norm.L2, size) for size in (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)]


def table(swept, name="success"):
    found = {}
    for row in swept.outcomes:
        found.setdefault(row.id, []).append(bool(getattr(row, name)))
    return found


@pytest.mark.parametrize("budgets", [LINF, L2], ids=["linf", "l2"])
def test_as_strong_as_an_attack_at_each_size_and_far_cheaper(budgets):
    model, batch = bumpy(32)
    ours = run_attack("curve", model, batch, budgets)
    apart, cost = [], 0
    for budget in budgets:
        single = run_attack("pgd", model, batch, [budget], settings={"steps": 10})
        apart.append(sum(row.success for row in single.outcomes))
        cost += sum(row.gradient_evaluations + row.model_evaluations for row in single.outcomes)
    flipped = np.array(list(table(ours).values())).sum(0)
    assert (flipped >= np.array(apart) - 1).all() and flipped.sum() >= sum(apart)
    assert 0 < flipped[0] < flipped[-1]
    spent = sum(row.gradient_evaluations + row.model_evaluations for row in ours.outcomes)
    assert spent < 0.4 * cost


@pytest.mark.parametrize("effort", EFFORTS)
def test_flips_stay_flips_at_larger_sizes_and_hold_when_asked_again(effort):
    model, batch = bumpy()
    swept = run_attack("curve", model, batch, LINF, settings={"effort": effort})
    for name in ("success", "success_stored"):
        assert all(row == sorted(row) for row in table(swept, name).values())
    for budget in LINF:
        at = [row for row in swept.outcomes if row.budget == budget.text]
        for kind, name in ((swept.images, "success"), (swept.stored, "success_stored")):
            wrong = model(kind[budget.text]).argmax(1) != batch.targets
            assert [getattr(row, name) for row in at] == [
                bool(w) and row.correct for w, row in zip(wrong, at, strict=True)
            ]
            change = (kind[budget.text] - batch.images).abs().amax((1, 2, 3))
            assert (change <= budget.eps((3, 14, 14)) * (1 + 1e-4) + 1e-7).all()
    assert not at[0].correct and not at[0].success


def test_whole_grey_levels_flip_as_stored_too():
    model, batch = bumpy()
    swept = run_attack("curve", model, batch, LINF[2:])
    stored, flips = (np.array(list(table(swept, name).values())).sum(0) for name in ("success_stored", "success"))
    assert (stored >= 0.8 * flips).all()


def test_batch_size_and_order_do_not_matter():
    model, batch = bumpy()
    whole = run_attack("curve", model, batch, LINF, batch_size=32)
    for size in (1, 5):
        small = run_attack("curve", model, batch, LINF, batch_size=size)
        assert table(small) == table(whole) and table(small, "success_stored") == table(whole, "success_stored")
    turned = list(range(len(batch.ids)))[::-1]
    back = Tensors(
        [batch.ids[i] for i in turned], batch.images[turned], batch.targets[turned], batch.groups, PixelRange()
    )
    assert table(run_attack("curve", model, back, LINF)) == table(whole)


def test_thorough_flips_no_fewer_than_quick():
    model, batch = bumpy(32)
    found = [
        np.array(list(table(run_attack("curve", model, batch, L2, settings={"effort": effort})).values())).sum(0)
        for effort in ("quick", "thorough")
    ]
    assert (found[1] >= found[0]).all()


def test_batches_stay_full():
    """Slots are refilled as images leave: nearly all gradient passes run on a full batch."""
    model, batch = bumpy(32)
    seen = []

    class Watched(Target):
        def gradient(self, images, rows, **options):
            seen.append(len(rows))
            return super().gradient(images, rows, **options)

    whole = Batch(batch.images, batch.targets)
    search = Descent(
        Watched(model, whole, Goal(), pixels=None), whole, norm=Norm.LINF,
        sizes=[budget.eps((3, 14, 14)) for budget in LINF], effort=Effort(),
        random=lambda rows, purpose: ImageRandom(0, [batch.ids[row] for row in rows], purpose),
    )  # fmt: skip
    search.run(range(1, 32), 4)
    assert np.mean(np.array(seen[:-20]) == 4) > 0.85


def spent_at(model, batch, budgets, effort):
    swept = run_attack("curve", model, batch, budgets, settings={"effort": effort})
    return [sum(row.gradient_evaluations for row in swept.outcomes if row.id == name) for name in batch.ids], swept


def test_hopeless_attacks_are_given_up():
    """Far too small a size: the margin of a linear model stops rising at the end of the ball."""
    model = linear_model("two")
    batch = examples(model, 12)
    small = float(smallest_step(model, batch, Norm.L2).min()) * 0.05
    spent, swept = spent_at(model, batch, [budget_of(Norm.L2, small)], "standard")
    assert not any(row.success for row in swept.outcomes)
    assert max(spent) <= 1 + EFFORTS["standard"].trial + 2  # the clean gradient, the trial, a halved step or two


class Slow(nn.Module):
    """Flips only far from the straight way, by a winding path that needs many short steps."""

    def forward(self, images):
        flat = (images.flatten(1) - 0.5) * 4
        rise = flat[:, 0] - 3 * (flat[:, 1] - flat[:, 0].square()).square()
        return torch.stack([torch.zeros_like(rise), rise - 1.0], dim=1)


def test_attacks_near_their_end_go_on():
    """Quick stops after its steps; standard goes on while the margin rises, and gets through."""
    model = Model(Slow(), ModelInfo("slow", "classify", ("a", "b"), 3))
    images = torch.full((1, 3, 2, 2), 0.5)
    batch = Tensors(["i0"], images, torch.tensor([0]), [None], PixelRange())
    budgets = [budget_of(Norm.L2, 0.4)]
    quick, standard = (spent_at(model, batch, budgets, effort) for effort in ("quick", "standard"))
    assert not quick[1].outcomes[0].success and standard[1].outcomes[0].success
    assert quick[0][0] <= 11 < standard[0][0]


def test_flip_that_the_model_does_not_confirm_is_searched_on_the_model(monkeypatch):
    """A search copy that lies: nothing it claims counts, and the model itself is attacked instead."""
    from percuss.attacks import job

    model, batch = bumpy()
    liar = Model(nn.Sequential(nn.Flatten(), nn.Linear(588, 3)), model.info).requires_grad_(False)
    monkeypatch.setattr(job, "search_copy", lambda *given: (liar, ""))
    swept = run_attack("curve", model, batch, LINF)
    for row, image, target in zip(swept.outcomes[-24:], swept.images[LINF[-1].text], batch.targets, strict=True):
        assert row.success == (row.correct and bool(model(image[None]).argmax() != target))
    assert sum(row.success for row in swept.outcomes[-24:]) > 5


def test_unknown_effort_is_named():
    model, batch = bumpy(2)
    with pytest.raises(AttackError, match="unknown effort: thorogh. Allowed: thorough"):
        run_attack("curve", model, batch, LINF, settings={"effort": "thorogh"})
