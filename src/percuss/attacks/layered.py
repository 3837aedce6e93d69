"""The layered attack on masks: towards each class in turn, every class on top of the one before."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from percuss.attacks import pixels
from percuss.attacks.keeper import Keeper
from percuss.attacks.moves import Place, move
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.seeds import ImageRandom

#: Not heat maps: of two classes the way to the second undoes the way to the first.
TASKS = ("segment",)


def layered(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 20,
    step_size: float | None = None,
) -> Attempt:
    """Steps towards the map that shows one class everywhere, class after class (Avramidis et al., equation 2).

    Each class starts from the result of the class before. The best iterate by quality comes back; with ``keep="last"``
    that of the last class. With the setting ``target`` only that class is stepped towards: with 0, the paper's attack
    for evaluation.

    Args:
        target, batch, budget: as for every attack; the task is segment. Under the norm none nothing is projected and
            each step moves every value by ``step_size``, as published: ``steps * classes * step_size`` in all.
        rng: not used; nothing here is random.
        steps: gradient steps for each class; 100 in the paper.
        step_size: length of a step in [0, 1] units; ``2.5 * eps / steps`` where None (none: 0.001, as published). Not
            for l1 and l0.
    """
    if steps < 1:
        raise AttackError("the setting steps is too small", value=steps, allowed="1 or more")
    if step_size is not None and not step_size > 0:
        raise AttackError("the setting step_size is too small", value=step_size, allowed="above 0")
    if step_size is not None and budget.norm in (Norm.L1, Norm.L0):
        raise AttackError(f"steps under {budget.norm} have no size", value=step_size, next_step="leave it out")
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    length = step_size or (1e-3 if budget.norm is Norm.NONE else 2.5 * eps / steps)
    keeper, rows = Keeper(target, batch, budget), torch.arange(len(batch.images), device=batch.images.device)
    change = torch.zeros_like(batch.images)
    for wanted in _wanted(target):
        place = Place.at(change[rows], batch.room(rows), budget.norm)
        for step in range(steps):
            images = (batch.images[rows] + place.change).clamp_(0, 1)
            logits, gradient = target.gradient(images, rows, slope=pixels.towards(batch.targets[rows], wanted))
            left = ~keeper.see(rows, images, logits)
            rows, place, gradient = rows[left], place.rows(left), gradient[left]
            if not len(rows):
                return keeper.attempt()
            place = _moved(place, gradient, budget.norm, eps=eps, length=length, step=step)
        change[rows] = place.change
    images = (batch.images[rows] + change[rows]).clamp_(0, 1)
    keeper.see(rows, images, target.logits(images, rows) if keeper.looks else images.new_zeros(0))
    return keeper.attempt()


def _wanted(target: Target) -> Sequence[int]:
    """The classes to step towards, in order."""
    asked = target.goal.target
    return [asked] if isinstance(asked, int) else range(len(target.model.classes))


def _moved(place: Place, gradient: Tensor, norm: Norm, *, eps: float, length: float, step: int) -> Place:
    if norm is not Norm.NONE:
        return move(place, gradient, norm, eps=eps, length=length, step=step)
    return Place(place.room.clip(place.change + length * gradient.sign()), place.room, place.memory)
