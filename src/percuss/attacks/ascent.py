"""The one loop behind FGSM, BIM and PGD: climb the loss within ball and box, over every norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.moves import Place, move
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.norms import maximiser, random_start
from percuss.core.seeds import ImageRandom


@dataclass(frozen=True)
class Climb:
    """How to climb.

    Attributes:
        steps: gradient steps, at least 1.
        step_size: length of a linf or l2 step in [0, 1] units (norm none: its rms); None for ``reach``.
        reach: the step is ``reach * eps / steps`` where ``step_size`` is None (l2 from a random start: 4).
        single: go straight to the best change for the gradient at the clean image.
        start: where to start, from clean where None.
        begin: the change ``[N, C, H, W]`` to start from, within ball and room; ``start`` is not used then.
        slope: what to climb, from rows and step; the direction of the task where None.
    """

    steps: int
    step_size: float | None = None
    reach: float = 2.5
    single: bool = False
    start: ImageRandom | None = None
    begin: Tensor | None = None
    slope: Callable[[Tensor, int], Callable[[Tensor], Tensor]] | None = None


@dataclass(frozen=True)
class State:
    """Images still climbing: their rows in the batch, and where they are."""

    rows: Tensor
    clean: Tensor
    place: Place

    @property
    def images(self) -> Tensor:
        """Clean plus change, in [0, 1]."""
        return (self.clean + self.place.change).clamp_(0, 1)

    def keep(self, left: Tensor) -> State:
        """The rows where ``left``."""
        return State(self.rows[left], self.clean[left], self.place.rows(left))


def ascend(target: Target, batch: Batch, budget: Budget, *, climb: Climb) -> Attempt:
    """Run the loop; every iterate, the last too, is evaluated, and images that are done leave at once."""
    _check(climb, budget)
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    keeper, state = Keeper(target, batch, budget), _begin(batch, budget.norm, eps, climb)
    for step in range(climb.steps):
        images = state.images
        slope = None if climb.slope is None else climb.slope(state.rows, step)
        logits, gradient = target.gradient(images, state.rows, slope=slope)
        left = ~keeper.see(state.rows, images, logits)
        if not bool(left.all()):
            state, gradient = state.keep(left), gradient[left]
        if not len(state.rows):
            return keeper.attempt()
        state = _move(state, gradient, budget.norm, eps, (climb, step))
        del gradient, images, logits  # not held during the next pass
    images = state.images
    logits = target.logits(images, state.rows) if keeper.looks else images.new_zeros(0)
    keeper.see(state.rows, images, logits)
    return keeper.attempt()


def _begin(batch: Batch, norm: Norm, eps: float, climb: Climb) -> State:
    room = batch.room()
    change = torch.zeros_like(batch.images) if climb.begin is None else climb.begin.clone()
    if climb.start is not None and climb.begin is None:
        change = random_start(norm, eps, room, climb.start)
    return State(torch.arange(len(change), device=change.device), batch.images, Place.at(change, room, norm))


def _move(state: State, gradient: Tensor, norm: Norm, eps: float, at: tuple[Climb, int]) -> State:
    climb, step = at
    if climb.single:
        place = replace(state.place, change=maximiser(norm, gradient, eps, state.place.room))
    else:
        length = climb.step_size or (1 / 255 if norm is Norm.NONE else _reach(climb, norm) * eps / climb.steps)
        place = move(state.place, gradient, norm, eps=eps, length=length, step=step)
    return State(state.rows, state.clean, place)


def _reach(climb: Climb, norm: Norm) -> float:
    """Length of all steps over eps. From a random start under l2 a longer way is needed to turn fully round."""
    return 4.0 if norm is Norm.L2 and (climb.start is not None or climb.begin is not None) else climb.reach


def _check(climb: Climb, budget: Budget) -> None:
    if climb.steps < 1:
        raise AttackError("the setting steps is too small", value=climb.steps, allowed="1 or more")
    if climb.step_size is None:
        return
    if budget.norm in (Norm.L1, Norm.L0):
        raise AttackError(f"steps under {budget.norm} have no size", value=climb.step_size, next_step="leave it out")
    if not climb.step_size > 0:
        raise AttackError("the setting step_size is too small", value=climb.step_size, allowed="above 0")
