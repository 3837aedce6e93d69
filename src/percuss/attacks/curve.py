"""All sizes in one search: each image just below the smallest size known to flip it; a whole curve for few passes."""

from __future__ import annotations

import torch

from percuss.attacks.descent import Descent
from percuss.attacks.effort import effort_of
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom


def curve(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, effort: str = "standard") -> Attempt:
    """The search at a single size; the engine runs all sizes of a norm at once (``attacks.at_once``).

    Args:
        target, batch, budget: as for every attack.
        rng: draws the starts of attacks after the first.
        effort: ``quick``, ``standard`` or ``thorough``: how many attacks must fail before an image is closed.
    """
    sizes = [budget.eps(batch.images.shape[1:], target.pixels)]

    def random(rows: list[int], purpose: str) -> ImageRandom:
        return rng.subset(rows)

    search = Descent(target, batch, norm=budget.norm, sizes=sizes, effort=effort_of(effort), random=random)
    images = batch.images.clone()
    for row, record in search.run(range(len(images)), max(1, len(images))).items():
        change = record.flips.get(0, record.attempt[2] if record.attempt else torch.zeros_like(images[row]))
        images[row] = (images[row] + change.to(images.device)).clamp_(0, 1)
    return Attempt(images)
