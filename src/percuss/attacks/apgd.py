"""Auto-PGD: steps with momentum that find their own size, for cross-entropy, margin, DLR or targets in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.moves import Place, move
from percuss.attacks.objectives import Objective, ordered_ways
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.norms import maximiser, project, random_start
from percuss.core.seeds import ImageRandom

MOMENTUM = 0.75  # the share of the new step; the rest goes on as before
RISES = 0.75  # of the steps since the last look must have risen, else the step is halved
#: l1: sizes of the ball, over eps, and shares of the steps spent in each; the first catches what flips easily.
STAGES = ((1.0, 0.2), (3.0, 0.2), (2.0, 0.2), (1.0, 0.4))
MANY = 50  # steps from which on stages pay
#: The same for ``radius="shrinking"`` (Croce, Singh and Hein 2024, section 3.3).
SHRINKING = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))
_NOISE = 1e-6  # a smaller relative rise is no rise: batch mates move logits by less


@dataclass(frozen=True)
class _Ball:
    """Norm (none is linf of the whole range), size and number of steps of a run."""

    norm: Norm
    eps: float
    steps: int


@dataclass
class _Trail:
    """Images still climbing, per row: where they are and were, their best point, and their step."""

    rows: Tensor
    clean: Tensor
    place: Place
    before: Tensor
    best: Tensor
    best_gradient: Tensor
    best_value: Tensor
    value: Tensor
    rises: Tensor
    length: Tensor
    eased: Tensor  # whether the last look shortened the step
    looked: Tensor  # the best value at the last look
    width: Tensor  # l1: how many values a step moves
    spread: Tensor  # l1: how many values the best change moved at the last look

    @classmethod
    def start(cls, rows: Tensor, clean: Tensor, *, place: Place, ball: _Ball) -> _Trail:
        """Fresh from a place."""
        low = torch.full((len(rows),), -torch.inf, dtype=torch.float64, device=clean.device)
        ones, values = torch.ones_like(low), clean[0].numel()
        return cls(
            rows=rows,
            clean=clean,
            place=place,
            before=place.change,
            best=place.change,
            best_gradient=torch.zeros_like(place.change),
            best_value=low,
            value=low,
            rises=ones * 0,
            length=ones * ball.eps * (1 if ball.norm is Norm.L1 else 2),
            eased=ones > 1,
            looked=low,
            width=ones * math.ceil(0.2 * values),
            spread=ones * values,
        )

    def again(self, ball: _Ball) -> _Trail:
        """Afresh from the best point, within another ball."""
        room = self.place.room
        place = Place.at(project(ball.norm, self.best, ball.eps, room), room, ball.norm)
        return _Trail.start(self.rows, self.clean, place=place, ball=ball)

    @property
    def images(self) -> Tensor:
        """Clean plus change, in [0, 1]."""
        return (self.clean + self.place.change).clamp_(0, 1)

    def keep(self, left: Tensor) -> _Trail:
        """The rows where ``left``."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        return _Trail(**{key: part.rows(left) if key == "place" else part[left] for key, part in parts.items()})

    def note(self, value: Tensor, gradient: Tensor) -> None:
        """Book the loss and the gradient of the present point."""
        self.rises = self.rises + (value > self.value + _NOISE * self.value.abs().nan_to_num(posinf=0))
        better = value > self.best_value
        self.best, self.best_gradient = (
            torch.where(_column(better), new, old)
            for new, old in ((self.place.change, self.best), (gradient, self.best_gradient))
        )
        self.best_value, self.value = torch.where(better, value, self.best_value), value

    def go_back(self, chosen: Tensor, gradient: Tensor) -> Tensor:
        """Chosen rows go on from their best point, at rest; the gradients to use there."""
        change = torch.where(_column(chosen), self.best, self.place.change)
        self.before = torch.where(_column(chosen), self.best, self.before)
        self.value = torch.where(chosen, self.best_value, self.value)
        self.place = Place(change, self.place.room, self.place.memory)
        return torch.where(_column(chosen), self.best_gradient, gradient)


def apgd(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 100,
    loss: str = "ce",
    classes: int = 9,
    radius: str = "fixed",
) -> Attempt:
    """Auto-PGD (Croce and Hein 2020, arXiv 2003.01690; l1 after 2103.01208), each image with its own step size.

    Args:
        target, batch, budget: as for every attack.
        rng: draws the starts, uniform in the ball.
        steps: gradient steps; for ``loss="targeted"`` of each target class.
        loss: ``ce``, ``margin`` (of probabilities), ``dlr`` (3 or more classes), or ``targeted``: towards other
            classes in turn, likeliest first (several labels: each label in turn).
        classes: how many are tried by ``targeted``, at most; all others where there are fewer.
        radius: ``fixed``, or ``shrinking``: under linf and l2 in balls of 2, 1.5 and 1 times the size for 30, 30 and
            40 % of the steps, each from the best point of the one before (l1 has stages of its own).

    Raises:
        AttackError: a setting without meaning.
    """
    for name, number in (("steps", steps), ("classes", classes)):
        if number < 1:
            raise AttackError(f"the setting {name} is too small", value=number, allowed="1 or more")
    if radius not in ("fixed", "shrinking"):
        raise AttackError("unknown value of the setting radius", value=radius, allowed="fixed, shrinking")
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    ball = _Ball(Norm.LINF, 1.0, steps) if budget.norm is Norm.NONE else _Ball(budget.norm, eps, steps)
    keeper, rows = Keeper(target, batch, budget), torch.arange(len(batch.images), device=batch.images.device)
    ways: list[Tensor | None] = [None]
    Objective(target, loss)  # refuses before anything is spent
    if loss == "targeted":
        ways = list(ordered_ways(target, target.logits(batch.images, rows), rows, most=classes).unbind(1))
    for way in ways:
        room = batch.room(rows)
        change = random_start(ball.norm, ball.eps, room, rng.subset(rows.tolist()))
        trail = _Trail.start(rows, batch.images[rows], place=Place.at(change, room, ball.norm), ball=ball)
        rows = _run(target, Objective(target, loss, way), keeper, trail, ball=ball, radius=radius)
        if not len(rows):
            break
    return keeper.attempt()


def _run(target: Target, objective: Objective, keeper: Keeper, trail: _Trail, *, ball: _Ball, radius: str) -> Tensor:
    """All steps, maybe in stages of shrinking balls; the rows that are not done after them."""
    stages = _stages(ball, radius)
    if not stages:
        return _climb(target, objective, keeper, trail, ball=ball).rows
    left = ball.steps
    for index, (size, share) in enumerate(stages):
        steps = left if index == len(stages) - 1 else round(share * ball.steps)
        stage, left = _Ball(ball.norm, size * ball.eps, steps), left - steps
        trail = trail.again(stage) if index or size != 1 else trail
        trail = _climb(target, objective, keeper if size <= 1 else None, trail, ball=stage, again=index > 0)
        if not len(trail.rows):
            break
    return trail.rows


def _stages(ball: _Ball, radius: str) -> tuple[tuple[float, float], ...]:
    if ball.norm is Norm.L1:
        return STAGES if ball.steps >= MANY else ()
    return SHRINKING if radius == "shrinking" and ball.norm in (Norm.LINF, Norm.L2) and ball.steps >= 10 else ()


def checkpoints(steps: int) -> list[int]:
    """After how many steps the step size is looked at: shares 0, 0.22, 0.41, 0.57, ... of the steps, rounded up."""
    before, share, found = 0, 22, [0]
    while share < 100:  # in hundredths: whole numbers round up without error
        found.append(-(-share * steps // 100))
        before, share = share, share + max(share - before - 3, 6)
    return sorted(set(found))


def _climb(
    target: Target, objective: Objective, keeper: Keeper | None, trail: _Trail, *, ball: _Ball, again: bool = False
) -> _Trail:
    """Run the steps of one ball; those not done after them. Without keeper none counts: the ball is too large."""
    looks = checkpoints(ball.steps)
    for step in range(ball.steps):
        images = trail.images
        logits, gradient = target.gradient(images, trail.rows, slope=objective.slope(trail.rows))
        left = None if keeper is None else ~keeper.see(trail.rows, images, logits)
        if left is not None and not bool(left.all()):
            trail, gradient, logits = trail.keep(left), gradient[left], logits[left]
        if not len(trail.rows):
            return trail
        trail.note(objective.value(logits, trail.rows), gradient)
        if ball.norm is Norm.L1:
            gradient = _thin(trail, gradient, ball, step)
        elif step in looks and ball.norm is not Norm.L0:
            gradient = _ease(trail, gradient, since=step - max([0, *(at for at in looks if at < step)]))
        _advance(trail, gradient, ball, step + again)
    if keeper is None:
        return trail
    images = trail.images
    return trail.keep(~keeper.see(trail.rows, images, target.logits(images, trail.rows)))


def _ease(trail: _Trail, gradient: Tensor, *, since: int) -> Tensor:
    """Halve the step of rows that rose too rarely or got no further, and send them back to their best point."""
    rare = trail.rises < RISES * since
    stale = ~trail.eased & (trail.best_value <= trail.looked)
    trail.eased = rare | stale
    trail.length = torch.where(trail.eased, trail.length / 2, trail.length)
    trail.looked, trail.rises = trail.best_value, trail.rises * 0
    return trail.go_back(trail.eased, gradient)


def _thin(trail: _Trail, gradient: Tensor, ball: _Ball, step: int) -> Tensor:
    """l1: fit how many values a step moves to those the best change moves, now and then."""
    if step == 0 or step % max(1, math.ceil(0.04 * ball.steps)):
        return gradient
    moved = (trail.best != 0).flatten(1).sum(1).double().clamp_min(1)
    fewer = moved < 0.95 * trail.spread
    shorter = (trail.length / 1.5).clamp_min(ball.eps / 10)
    trail.length = torch.where(fewer, torch.full_like(shorter, ball.eps), shorter)
    trail.width, trail.spread = (moved / 1.5).ceil(), moved
    return trail.go_back(fewer, gradient)


def _advance(trail: _Trail, gradient: Tensor, ball: _Ball, step: int) -> None:
    """One step; with momentum from the second on (not under l1 and l0)."""
    here, room = trail.place.change, trail.place.room
    if ball.norm is Norm.L1:  # first to the best change for the first gradient, which a linear model needs no more than
        there = maximiser(ball.norm, gradient, ball.eps, room) if step == 0 else here + _sparse(trail, gradient)
        there = project(ball.norm, there, ball.eps, room)
        trail.place = Place(there, room, trail.place.memory)
    else:
        trail.place = move(trail.place, gradient, ball.norm, eps=ball.eps, length=trail.length, step=step)
        if step and ball.norm is not Norm.L0:
            there = here + MOMENTUM * (trail.place.change - here) + (1 - MOMENTUM) * (here - trail.before)
            trail.place = Place(project(ball.norm, there, ball.eps, room), room, trail.place.memory)
    trail.before = here


def _sparse(trail: _Trail, gradient: Tensor) -> Tensor:
    """The same step for each of the ``width`` values of largest gradient that can still move, ``length`` in all."""
    here, room = trail.place.change, trail.place.room
    stuck = ((gradient > 0) & (here >= room.high)) | ((gradient < 0) & (here <= room.low))
    size = gradient.masked_fill(stuck, 0).flatten(1).abs()
    last = size.sort(dim=1, descending=True).values.gather(1, trail.width.long().unsqueeze(1) - 1)
    chosen = (size >= last) & (size > 0)
    each = trail.length / chosen.sum(1).clamp_min(1)
    step = gradient.sign().flatten(1) * chosen * each.to(gradient.dtype).unsqueeze(1)
    return step.view_as(gradient)


def _column(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
