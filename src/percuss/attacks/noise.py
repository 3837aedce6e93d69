"""Random noise of the same size, without any gradient: the control that a real attack must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.norms import Room, project, random_start
from percuss.core.seeds import ImageRandom


def noise(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, draws: int = 10) -> Attempt:
    """The best of some random changes of full size.

    linf: every value up or down by eps; l2: uniform on the sphere; l1: uniform on the sphere of l1;
    l0: a random set of pixels, each value at a random end of its room; none: uniform random images.

    Args:
        target, batch, budget: as for every attack.
        rng: draws the changes, per image.
        draws: how many changes are tried, at least 1.
    """
    if draws < 1:
        raise AttackError("the setting draws is too small", value=draws, allowed="1 or more")
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    keeper, rows = Keeper(target, batch, budget), torch.arange(len(batch.images), device=batch.images.device)
    for _ in range(draws):
        room = batch.room(rows)
        images = (batch.images[rows] + _draw(budget.norm, eps, room, rng)).clamp_(0, 1)
        left = ~keeper.see(rows, images, target.logits(images, rows))
        if not bool(left.all()):
            rng, rows = rng.subset(left.nonzero().flatten().tolist()), rows[left]
        if not len(rows):
            break
    return keeper.attempt()


def _draw(norm: Norm, eps: float, room: Room, rng: ImageRandom) -> Tensor:
    shape, device = room.low.shape[1:], room.low.device
    if norm is Norm.NONE:
        return room.clip(room.low + rng.uniform(shape).to(device))
    start = random_start(norm, eps, room, rng)
    if norm is Norm.LINF:
        change = start.sign() * eps
    elif norm is Norm.L0:
        coin = rng.uniform(shape).to(device) < 0.5
        change = torch.where(coin, room.low, room.high) * (start != 0).any(1, keepdim=True)
    else:
        order = 2 if norm is Norm.L2 else 1
        length = start.flatten(1).norm(p=order, dim=1).view(-1, 1, 1, 1)
        change = start * (eps / length.clamp_min(torch.finfo(torch.float32).tiny))
    return project(norm, change, eps, room)
