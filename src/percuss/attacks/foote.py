"""Foote's protocol: raw cross-entropy gradients and rescaling, as in the paper, per image instead of per batch."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.norms import distance, pixels_allowed
from percuss.core.seeds import ImageRandom


def foote(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 100,
    step_size: float = 1.0,
) -> Attempt:
    """``d <- constrain(d + step_size * gradient)`` from zero, until flipped or out of steps.

    The paper's confidence target is the setting ``confidence``.
    The gradient keeps its scale, as in the paper; a very sure model gives almost none, so a failure of this
    attack says little: compare with pgd. l1 and l2 rescale the whole change, linf clamps, l0 keeps the pixels
    of largest gradient of the current step.

    Args:
        target, batch, budget, rng: as for every attack; the random numbers are not used.
        steps: gradient steps.
        step_size: the paper's gamma, for images in [0, 1]; the paper gives no value.
    """
    if steps < 1 or not step_size > 0:
        raise AttackError("steps and step_size must be above 0", value=f"{steps}, {step_size}")
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    keeper, rows = Keeper(target, batch, budget), torch.arange(len(batch.images), device=batch.images.device)
    change = torch.zeros_like(batch.images)
    for _ in range(steps):
        images = (batch.images[rows] + change).clamp_(0, 1)
        logits, gradient = target.gradient(images, rows, raw=True)
        left = ~keeper.see(rows, images, logits)
        rows, change, gradient = rows[left], change[left], gradient[left]
        if not len(rows):
            return keeper.attempt()
        room = batch.room(rows)
        change = room.clip(_constrain(budget.norm, change + step_size * gradient, gradient, eps))
    images = (batch.images[rows] + change).clamp_(0, 1)
    keeper.see(rows, images, target.logits(images, rows))
    return keeper.attempt()


def _constrain(norm: Norm, change: Tensor, gradient: Tensor, eps: float) -> Tensor:
    if norm is Norm.NONE:
        return change
    if norm is Norm.LINF:
        return change.clamp(-eps, eps)
    if norm is Norm.L0:
        strength = gradient.abs().sum(1).flatten(1)
        chosen = strength.topk(int(pixels_allowed(eps, change)[0]), dim=1).indices
        mask = torch.zeros_like(strength).scatter_(1, chosen, 1.0)
        return change * mask.view(len(change), 1, *change.shape[2:])
    size = distance(norm, change).clamp_min(1e-300)
    return change * (eps / size).clamp_max(1).to(change.dtype).view(-1, 1, 1, 1)
