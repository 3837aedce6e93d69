"""The keeper: where nothing leaves early, few iterates are looked at as stored, and the same one is kept."""

import pytest
import torch

from percuss.attacks.engine import run_attack
from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange
from percuss.core.stored import as_stored
from percuss.testing.exact import examples, pixel_model

BUDGET = parse_budget("linf=0.3")


def walked(count=3, steps=40):
    """A target, and iterates of ``count`` images that grow worse for the model, not evenly."""
    model = pixel_model(classes=3)
    batch = examples(model, count)
    given = Batch(batch.images, batch.targets)
    target = Target(model, given, Goal(early_stop=False), pixels=PixelRange())
    draw = torch.Generator().manual_seed(1)
    _, slope = target.gradient(batch.images, torch.arange(count))
    iterates = []
    for step in range(steps):
        noise = torch.rand(batch.images.shape, generator=draw) - 0.5
        change = (slope.sign() * 0.3 * step / steps + 0.05 * noise).clamp(-0.3, 0.3)
        iterates.append((batch.images + change).clamp(0, 1))
    target.model_evaluations.zero_()
    return target, given, iterates


def best_by_hand(target, given, iterates):
    rows, found = torch.arange(len(given.images)), []
    for row in rows:
        kept = (-1, -torch.inf, None)
        for images in iterates:
            logits = target.logits(images, rows)
            done, margin = target.done(logits, rows)[row], target.margin(logits, rows)[row]
            saved = as_stored(given.images, images, BUDGET, PixelRange())
            stored = done & target.done(target.logits(saved, rows), rows)[row]
            if (int(done) + int(stored), float(margin)) > kept[:2]:
                kept = (int(done) + int(stored), float(margin), images[row])
        found.append(kept[2])
    return torch.stack(found)


def test_the_best_iterate_is_kept_for_few_looks_as_stored():
    target, given, iterates = walked()
    keeper, rows = Keeper(target, given, BUDGET), torch.arange(3)
    seen = 0
    for images in iterates:
        logits = target.model(images).detach()
        seen += int(target.done(logits, rows).sum())
        assert not keeper.see(rows, images, logits).any()
    kept = keeper.attempt().images
    looks = int(target.model_evaluations.sum())
    assert torch.equal(kept, best_by_hand(target, given, iterates))
    assert seen > 40 and 0 < looks <= seen / 4


def test_an_iterate_that_storage_undoes_is_not_kept_over_one_that_survives():
    target, given, iterates = walked(count=1)
    logits = [target.model(images).detach() for images in iterates]
    done = [place for place, value in enumerate(logits) if bool(target.done(value, torch.zeros(1).long()))]
    keeper, rows, refused = Keeper(target, given, BUDGET), torch.zeros(1).long(), []
    keeper._stored = lambda rows, images, done: torch.tensor([not any(torch.equal(images[0], no) for no in refused)])
    refused += [iterates[place][0] for place in done[3:]]
    for images, value in zip(iterates, logits, strict=True):
        keeper.see(rows, images, value)
    kept = keeper.attempt().images[0]
    assert not any(torch.equal(kept, no) for no in refused)
    margins = {place: float(target.margin(logits[place], rows)) for place in done[:3]}
    assert torch.equal(kept, iterates[max(margins, key=margins.__getitem__)][0])


@pytest.mark.parametrize("attack", ["pgd", "segpgd"])
def test_attacks_without_early_stop_make_few_passes_beside_their_steps(attack):
    model = pixel_model(classes=3)
    settings = {"early_stop": False, "steps": 20}
    swept = run_attack(attack, model, examples(model, 6), [BUDGET], settings=settings)
    flipped = [row for row in swept.outcomes if row.success and row.success_stored]
    assert len(flipped) >= 3 and all(row.model_evaluations <= 21 + 20 / 5 + 1 for row in flipped)
