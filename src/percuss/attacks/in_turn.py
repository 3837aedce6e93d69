"""Several attacks as one: each is given the images that those before it left open."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom

#: An attack with its own settings already given.
Part = Callable[..., Attempt]


def one_by_one(
    target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, parts: Sequence[tuple[Part, Sequence[bool]]]
) -> Attempt:
    """Run the parts in order, each on the rows still open that it is to try (one bool per row of the batch)."""
    keeper, notes = Keeper(target, batch, budget), list[str]()
    rows = torch.arange(len(batch.images), device=batch.images.device)
    for part, tries in parts:
        chosen = rows[torch.tensor([tries[row] for row in rows.tolist()], dtype=torch.bool, device=rows.device)]
        if not len(chosen):
            continue
        attempt = tried(target, batch, budget, rows=chosen, run=part, rng=rng)
        found, notes = attempt.images, notes + [note for note in attempt.notes if note not in notes]
        left = ~keeper.see(chosen, found, target.logits(found, chosen))
        closed = set(chosen[~left].tolist())
        rows = rows[[row not in closed for row in rows.tolist()]]
    return Attempt(keeper.attempt().images, tuple(notes))


def on_rows(target: Target, batch: Batch, budget: Budget, *, rows: Tensor, run: Part, rng: ImageRandom) -> Tensor:
    """Attacked images of some rows; what they cost is booked on the target of the whole."""
    return tried(target, batch, budget, rows=rows, run=run, rng=rng).images


def tried(target: Target, batch: Batch, budget: Budget, *, rows: Tensor, run: Part, rng: ImageRandom) -> Attempt:
    """``on_rows``, with what the attack notes."""
    region = None if batch.region is None else batch.region[rows]
    given = Batch(batch.images[rows].clone(), batch.targets[rows], region)
    own = Target(target.model, given, target.goal, pixels=target.pixels, slack=target.slack)
    found = run(own, given, budget, rng=rng.subset(rows.tolist()))
    places = rows.cpu()
    target.gradient_evaluations[places] += own.gradient_evaluations
    target.model_evaluations[places] += own.model_evaluations
    target.saw_gradient[places] |= own.saw_gradient
    return found
