"""Iterated FGSM on the image without a ball: steps of one grey level, the whole change then brought to its L2 size."""

from __future__ import annotations

import torch

from percuss.attacks import codes
from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.seeds import ImageRandom

NORMS = (Norm.L2,)


def rescaled_fgsm(
    target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, steps: int = 100, step_size: float = 1 / 255
) -> Attempt:
    """The attack on images of Strauss and Kenyon (2021): every value by one grey level in each step.

    Args:
        target, batch, budget: as for every attack; l2 alone.
        rng: not used; nothing here is random.
        steps: gradient steps; 100 in the paper. With 1 the change has three values, up, down and none.
        step_size: what each value moves in a step, in [0, 1] units.
    """
    codes.only_l2(budget, "rescaled_fgsm")
    codes.counted("steps", steps)
    if not step_size > 0:
        raise AttackError("the setting step_size is too small", value=step_size, allowed="above 0")
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    keeper, rows = Keeper(target, batch, budget), torch.arange(len(batch.images), device=batch.images.device)
    if not len(rows):
        return keeper.attempt()
    images, room = batch.images, batch.room()
    for _ in range(steps):
        _, gradient = target.gradient(images, rows)
        images = batch.images + room.clip(images + step_size * gradient.sign() - batch.images)
    found = codes.at_size(images - batch.images, eps, batch=batch, rows=rows)
    keeper.see(rows, found, target.logits(found, rows) if keeper.looks else found.new_zeros(0))
    return keeper.attempt()
