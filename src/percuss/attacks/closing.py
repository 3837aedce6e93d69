"""The loop behind FMN and DDN: down to the boundary by linear estimates, then along it in ever shorter steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.attacks.hunt import Hunt
from percuss.attacks.linear import dual, rise
from percuss.attacks.target import Attempt
from percuss.attacks.ways import likeliest
from percuss.core.budget import Norm
from percuss.core.errors import AttackError
from percuss.core.norms import Room, maximiser, pixels_allowed, project, steepest

_OVER = 1.001  # of the gap that a linear estimate leaves to close
_JUST = 1e-4  # the share by which a new size is at least below the smallest


@dataclass(frozen=True)
class Descent:
    """How to go down.

    Attributes:
        steps: gradient evaluations of each image, at least 2.
        first, last: length of the first and last step over the present size, in between a cosine.
        shrink, shrink_last: the largest share by which the size changes in a step, likewise.
        momentum: share of the gradients before.
        sphere: whether changes are brought to the present size also from within (DDN).
        ways: how many ways to be wrong are tried at the clean image.
        leaps: steps by linear estimate to begin with.
    """

    steps: int = 100
    first: float = 1.0
    last: float = 0.01
    shrink: float = 0.05
    shrink_last: float = 0.001
    momentum: float = 0.0
    sphere: bool = False
    ways: int = 9
    leaps: int = 2

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise AttackError("the setting steps is too small", value=self.steps, allowed="2 or more")

    def at(self, step: int) -> tuple[float, float]:
        """Length and shrinkage of a step."""
        share = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.last + (self.first - self.last) * share, self.shrink_last + (self.shrink - self.shrink_last) * share


@dataclass(frozen=True)
class Front:
    """Images still going down: rows, room, present change and size, and the mean of gradients."""

    rows: Tensor
    room: Room
    change: Tensor
    size: Tensor
    memory: Tensor

    def keep(self, left: Tensor) -> Front:
        """The rows where ``left``."""
        return Front(self.rows[left], self.room.rows(left), self.change[left], self.size[left], self.memory[left])


def close_in(hunt: Hunt, descent: Descent) -> Attempt:
    """Run the loop and give back what the hunt found."""
    front, used = aim(hunt, ways=min(descent.ways, descent.steps - 1))
    for step in range(used, descent.steps):
        logits, gradient = hunt.gradient(front.rows, front.change)
        left = ~hunt.see(front.rows, front.change, logits)
        if not bool(left.all()):
            front, gradient, logits = front.keep(left), gradient[left], logits[left]
        if not len(front.rows):
            break
        at = logits, gradient
        front = _leap(hunt, front, at) if step < used + descent.leaps else _step(hunt, front, at, (descent, step))
    else:
        hunt.see(front.rows, front.change, hunt.target.logits(hunt.images(front.rows, front.change), front.rows))
    if hunt.batch.images.numel():
        hunt.refine()
    return hunt.attempt()


def aim(hunt: Hunt, *, ways: int) -> tuple[Front, int]:
    """The nearest boundary by a linear estimate at the clean image; and how many gradients that took.

    On a linear model the change found is the smallest of all.
    """
    clean, rows = hunt.batch.images, hunt.rows
    logits = hunt.target.logits(clean, rows)
    hunt.note(rows, torch.zeros_like(clean), logits)
    tried = likeliest(hunt.target, logits, rows, most=ways)
    change, memory, size = torch.zeros_like(clean), torch.zeros_like(clean), torch.full_like(hunt.size, math.inf)
    for slope, gap in tried:
        _, gradient = hunt.target.gradient(clean, rows, slope=_fixed(slope))
        moved, far = hunt.nearest(gradient, -gap * _OVER, rows)
        far = torch.where(rise(gradient, moved) >= -gap, far, torch.full_like(far, 1e30))  # out of reach
        closer = far < size
        change = torch.where(_column(closer), moved, change)
        memory = torch.where(_column(closer), gradient, memory)
        size = torch.where(closer, far, size)
    size = torch.where(size < 1e30, size, hunt.measure(change))
    return Front(rows, hunt.room, change, size, memory), len(tried)


def _fixed(slope: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda _: slope


def _leap(hunt: Hunt, front: Front, at: tuple[Tensor, Tensor]) -> Front:
    """To the nearest point of the boundary as the gradient here has it."""
    logits, gradient = at
    gap = hunt.target.margin(logits, front.rows)
    need = rise(gradient, front.change) - gap + gap.abs() * (_OVER - 1)
    change, size = hunt.nearest(gradient, need, front.rows)
    usable = (gradient != 0).flatten(1).any(1) & (need > 0)
    change = torch.where(_column(usable), change, front.change)
    return Front(front.rows, front.room, change, torch.where(usable, size, front.size), gradient)


def _step(hunt: Hunt, front: Front, at: tuple[Tensor, Tensor], when: tuple[Descent, int]) -> Front:
    """A step uphill, on to the ball whose size the margin here asks for."""
    gradient, (descent, step) = at[1], when
    length, shrink = descent.at(step)
    size = _next_size(hunt, front, at, shrink)
    peak = gradient.flatten(1).abs().amax(1)
    memory = descent.momentum * front.memory + (1 - descent.momentum) * gradient
    if hunt.norm is Norm.L0:
        scaled = gradient / _column(torch.where(peak > 0, peak, torch.ones_like(peak)))
        memory = front.memory + scaled
        return Front(front.rows, front.room, maximiser(Norm.L0, memory, size, front.room), size, memory)
    far = _column(length * size).to(gradient.dtype)
    change = front.change + far * steepest(hunt.norm, memory)
    if descent.sphere:
        norm = change.flatten(1).double().norm(dim=1).clamp_min(1e-30)
        change = change * _column((size / norm).clamp_min(1)).to(change.dtype)
    return Front(front.rows, front.room, project(hunt.norm, change, size, front.room), size, memory)


def _next_size(hunt: Hunt, front: Front, at: tuple[Tensor, Tensor], shrink: float) -> Tensor:
    """Where the margin would be 0 by a linear estimate, within a share ``shrink`` below the smallest size."""
    logits, gradient = at
    gap, best = hunt.target.margin(logits, front.rows), hunt.size[front.rows]
    if hunt.norm is Norm.L0:
        return _next_count(hunt, front, logits, shrink)
    here = hunt.measure(front.change)
    wanted = here - gap / dual(hunt.norm, gradient)
    found = best.isfinite()
    inside = torch.minimum(torch.maximum(wanted, best * (1 - shrink)), best * (1 - _JUST))
    growing = torch.minimum(torch.maximum(wanted * (2 - 1 / _OVER), here * (1 + shrink)), here * 3 + 1e-12)
    return torch.where(found, inside, growing)


def _next_count(hunt: Hunt, front: Front, logits: Tensor, shrink: float) -> Tensor:
    """The same for pixels, which are whole: fewer by a share where flipped, more where not."""
    pixels = front.change[0, 0].numel()
    done = hunt.target.done(logits, front.rows)
    now, best = pixels_allowed(front.size, front.change).double(), hunt.size[front.rows] * pixels
    fewer = torch.minimum((torch.minimum(now, best) * (1 - shrink)).floor(), best - 1)
    more = torch.minimum((now * (1 + 2 * shrink)).ceil().clamp_min(1) + (now < 1), best - 1)
    return torch.where(done, fewer, more).clamp(0, pixels) / pixels


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
