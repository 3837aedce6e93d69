"""Smallest number of changed pixels, or values: descent on a smooth count (sigma-zero), then fewest at full stretch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from percuss.attacks.closing import Front, aim
from percuss.attacks.hunt import Hunt
from percuss.attacks.linear import largest
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.seeds import ImageRandom

NORMS = (Norm.L0,)
COUNTS = ("pixels", "values")
_EVERY = 10  # steps between looks at how many places can be left out
_PATIENCE = 40  # steps; it finds less late, when steps are short
_SMOOTH = 1e-3  # a change c counts as c^2 / (c^2 + this)
#: A mask has no single decision to find the smallest change or the next class of.
TASKS = ("classify", "multilabel")


def sigma_zero(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 100,
    count: str = "pixels",
    step_size: float = 1.0,
    threshold: float = 0.3,
) -> Attempt:
    """Sigma-zero (Cinà et al. 2024, arXiv 2402.01879), started by a linear estimate.

    Args:
        target, batch, budget: as for every attack. The budget counts pixels whatever ``count`` says.
        rng: not used; nothing here is random.
        steps: gradient evaluations of each image, 2 or more.
        count: ``pixels`` (all channels of a position are one) or ``values``.
        step_size: the first step, in [0, 1] units; the last is a tenth of it.
        threshold: changes below it are taken back, to begin with.

    Raises:
        AttackError: a norm other than l0, or settings without meaning.
    """
    if count not in COUNTS or steps < 2:
        name, value, allowed = ("count", count, ", ".join(COUNTS)) if steps > 1 else ("steps", steps, "2 or more")
        raise AttackError(f"the setting {name} cannot be used", value=value, allowed=allowed)
    hunt = Hunt(target, batch, budget, patience=_PATIENCE, values=count == "values").only(NORMS, "sigma_zero")
    front, used = aim(hunt, ways=min(9, steps - 1))
    cut = torch.full_like(front.size, threshold)
    return _loop(hunt, front, cut, (used, steps, step_size))


def _loop(hunt: Hunt, front: Front, cut: Tensor, at: tuple[int, int, float]) -> Attempt:
    used, steps, step_size = at
    for step in range(used, steps):
        logits, gradient = hunt.gradient(front.rows, front.change)
        left = ~hunt.see(front.rows, front.change, logits)
        if not bool(left.all()):
            front, gradient, logits, cut = front.keep(left), gradient[left], logits[left], cut[left]
        if not len(front.rows):
            break
        done = hunt.target.done(logits, front.rows)
        if step % _EVERY == _EVERY - 1 or step == steps - 1:
            _prune(hunt, front, gradient, done)
        length = step_size * (0.1 + 0.45 * (1 + math.cos(math.pi * step / steps)))
        cut = (cut + torch.where(done, 0.01, -0.01) * length).clamp(0, 1)
        change = _moved(hunt, front, gradient.masked_fill(_column(done), 0), length)
        size = change.abs() if hunt.values else change.abs().amax(1, keepdim=True)
        change = change * (size >= _column(cut).to(change.dtype))
        front = Front(front.rows, front.room, change, front.size, front.memory)
    else:
        hunt.see(front.rows, front.change, hunt.target.logits(hunt.images(front.rows, front.change), front.rows))
    return hunt.attempt()


def _moved(hunt: Hunt, front: Front, gradient: Tensor, length: float) -> Tensor:
    """A step against the smooth count, and uphill where the gradient is not 0, of largest value ``length``."""
    change, room = front.change, front.room
    squares = change.square() if hunt.values else change.square().sum(1, keepdim=True)
    units = change[0].numel() if hunt.values else change[0, 0].numel()
    slope = gradient - 2 * change * _SMOOTH / (squares + _SMOOTH).square() / units
    peak = _column(slope.flatten(1).abs().amax(1))
    return room.clip(change + length * slope / torch.where(peak > 0, peak, torch.ones_like(peak)))


def _prune(hunt: Hunt, front: Front, gradient: Tensor, done: Tensor) -> None:
    """Flipped images: fewer of the changed places, the most useful first, each at full stretch. By halving."""
    at = done.nonzero().flatten()
    if not len(at):
        return
    rows, change, room = front.rows[at], front.change[at], front.room.rows(at)
    used = change != 0 if hunt.values else (change != 0).any(1, keepdim=True)
    full = room.corner(gradient[at]) * used
    gain = (gradient[at] * full).double()
    gain = gain.flatten(1) if hunt.values else gain.sum(1).flatten(1)
    low, high = torch.zeros(len(at), dtype=torch.long, device=at.device), used.flatten(1).sum(1)
    for _ in range(int(high.max()).bit_length()):
        middle = (low + high) // 2
        flips = hunt.look(rows, full * largest(gain, middle).view(len(at), -1, *full.shape[2:]))
        low, high = torch.where(flips, low, middle), torch.where(flips, middle, high)


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
