"""The smallest change that spoils a mask: quality below the bar, a share of wrong pixels, or one class everywhere.

A map is wrong when enough of its pixels are. Each step pushes the pixels that are nearest to that: those that would
have to change first, by how far the best other class is behind, as many as are needed, and those behind them the less
the further they are. After a step that was enough the ball gets smaller, after one that was not it gets larger, as in
Fast Minimum-Norm (Pintor et al. 2021).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from percuss.attacks.hunt import Hunt
from percuss.attacks.moves import Place, move
from percuss.attacks.pixels import Slope
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.dense import BAR, IGNORE, REACHED, one_hot
from percuss.core.errors import AttackError
from percuss.core.norms import maximiser, project
from percuss.core.seeds import ImageRandom

TASKS = ("segment", "heatmap")
#: Halvings of the first size, on a logarithmic scale; forward passes only.
_HALVINGS = 12
_SMALLEST = 1e-5  # the first size tried, over the largest


def narrow(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 100,
    share: float | None = None,
) -> Attempt:
    """Search the smallest change by steps on a ball that shrinks after each success.

    Args:
        target, batch, budget: as for every attack; the task is segment or heatmap; the norm none is searched as l2.
        rng: not used; nothing here is random.
        steps: gradient evaluations of each image, 2 or more.
        share: what spoils a mask: this share of its judged pixels wrong; None for a quality below the bar. With the
            setting target always the map that shows the class.
    """
    if steps < 2:
        raise AttackError("the setting steps is too small", value=steps, allowed="2 or more")
    check_share(share)
    spoiled = Spoiled(target, batch, share)
    hunt = Hunt(spoiled, batch, budget)
    if not batch.images.numel():
        return hunt.attempt()
    size, place = _begin(spoiled, hunt)
    rows = hunt.rows
    for step in range(1, steps):
        logits, gradient = spoiled.gradient(hunt.images(rows, place.change), rows, slope=spoiled.slope(rows))
        done = spoiled.done(logits, rows)
        left = ~hunt.see(rows, place.change, logits)
        rows, place, gradient, size, done = rows[left], place.rows(left), gradient[left], size[left], done[left]
        if not len(rows):
            break
        far, shrink = _schedule(step, steps)
        size = _next(size, hunt.size[rows], done, shrink=shrink, most=_largest(hunt))
        place = _step(place, gradient, hunt.norm, size=size, far=far)
    else:
        hunt.see(rows, place.change, spoiled.logits(hunt.images(rows, place.change), rows))
    hunt.refine()
    return hunt.attempt()


def check_share(share: float | None) -> None:
    """AttackError for a share that no mask or every mask would reach."""
    if share is not None and not 0 < share <= 1:
        raise AttackError("the setting share is out of range", value=share, allowed="above 0, at most 1")


def wrong_share(logits: Tensor, truth: Tensor) -> Tensor:
    """Share of the judged pixels decided wrongly, float64 ``[n]``; 0 where none is judged."""
    judged = truth != IGNORE
    wrong = (logits.argmax(1) != truth) & judged
    return wrong.flatten(1).sum(1).double() / judged.flatten(1).sum(1).clamp_min(1)


class Spoiled(Target):
    """A target that may count wrong pixels; costs are booked on the target it is made of."""

    def __init__(self, target: Target, batch: Batch, share: float | None) -> None:
        super().__init__(target.model, batch, target.goal, pixels=target.pixels, slack=target.slack)
        self.share = share if target.goal.target is None else None
        self.gradient_evaluations, self.model_evaluations = target.gradient_evaluations, target.model_evaluations
        self.saw_gradient = target.saw_gradient

    def verdict(self, logits: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Whether the mask is spoiled, and how far beyond what is asked."""
        if self.share is None:
            return super().verdict(logits, rows)
        margin = self.margin(logits, rows)
        return margin >= 0, margin

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """How far beyond what is asked."""
        if self.share is None:
            return super().margin(logits, rows)
        return wrong_share(logits, self.sides(rows)[0]) - self.share

    def slope(self, rows: Tensor) -> Slope:
        """Up for the pixels that should change next."""
        truth, goal = self.sides(rows)
        sign = 1.0 if goal is None else -1.0

        def uphill(logits: Tensor) -> Tensor:
            values = logits.detach().double()
            own, judged = one_hot(truth if goal is None else goal, values.shape[1])
            best = values.masked_fill(own, -torch.inf).argmax(1, keepdim=True)
            lead = sign * (values.gather(1, best) - (values * own).sum(1, keepdim=True)).squeeze(1)
            turn = sign * (torch.zeros_like(values).scatter_(1, best, 1.0) - own.to(values))
            lead = lead.masked_fill(~judged, -torch.inf)
            order = lead.flatten(1).argsort(dim=1, descending=True)
            need = self._need(order, judged, truth, best.squeeze(1))
            return (turn * _weights(lead, order, need).unsqueeze(1)).to(logits.dtype)

        return uphill

    def _need(self, order: Tensor, judged: Tensor, truth: Tensor, best: Tensor) -> Tensor:
        """How many pixels must change, in the order given, int64 ``[n]``, at least 1."""
        count = judged.flatten(1).sum(1)
        share = REACHED if self.goal.target is not None else self.share
        if share is not None:
            found = (count * share - 1e-9).ceil().long()
        else:
            found = _until_bad(order, judged, truth, best, classes=len(self.model.classes))
        return torch.minimum(found.clamp_min(1), count.clamp_min(1))


def _until_bad(order: Tensor, judged: Tensor, truth: Tensor, best: Tensor, *, classes: int) -> Tensor:
    """How many pixels, in this order, must show their best other class before the quality falls below the bar."""
    a, b, here = ((value.flatten(1).gather(1, order)) for value in (truth.long(), best, judged))
    lost, gained = [], []
    for one in range(classes):
        lost.append(((a == one) & here).cumsum(1))
        gained.append(((b == one) & here).cumsum(1))
    gone, come = torch.stack(lost, 2).double(), torch.stack(gained, 2).double()
    total = gone[:, -1:]
    dice = 2 * (total - gone) / (2 * total - gone + come).clamp_min(1)
    held = total[:, :, 1:] > 0
    quality = (dice[:, :, 1:] * held).sum(2) / held.sum(2).clamp_min(1)
    empty = (total - gone)[:, :, 0] / total[:, :, 0].clamp_min(1)
    bad = torch.where(held.any(2), quality, empty) < BAR
    return torch.where(bad.any(1), bad.int().argmax(1) + 1, here.sum(1))


def _weights(lead: Tensor, order: Tensor, need: Tensor) -> Tensor:
    """Weight of each pixel, ``[n, H, W]``: little for those far beyond the border, and for those far behind the last.

    The scale is the mean distance from the border of the pixels that are needed.
    """
    flat = lead.flatten(1)
    ranked = flat.gather(1, order)
    place = torch.arange(flat.shape[1], device=flat.device)
    first = place < need.unsqueeze(1)
    last = ranked.gather(1, (need - 1).unsqueeze(1))
    scale = (ranked.abs().masked_fill(~first, 0).sum(1, keepdim=True) / need.unsqueeze(1)).clamp_min(1e-30)
    beyond = torch.sigmoid(-2 * flat / scale)
    behind = ((flat - last).clamp_max(0) / scale).exp()
    return torch.where(flat.isfinite(), beyond * behind, torch.zeros_like(flat)).view_as(lead)


def _begin(target: Spoiled, hunt: Hunt) -> tuple[Tensor, Place]:
    """The smallest single step, by its size, that spoils each mask; an eighth of the largest where none does."""
    clean, rows, most = hunt.batch.images, hunt.rows, _largest(hunt)
    logits, gradient = target.gradient(clean, rows, slope=target.slope(rows))
    bad = target.done(logits, rows)  # of the others the clean image is no candidate: margins of maps move in steps
    hunt.note(rows[bad], torch.zeros_like(clean[bad]), logits[bad])
    low = torch.full_like(hunt.size, math.log(most * _SMALLEST))
    high = torch.full_like(low, math.log(most))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        change = maximiser(hunt.norm, gradient, middle.exp(), hunt.room)
        enough = hunt.look(rows, change)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    size = torch.where(hunt.size.isfinite(), high.exp(), torch.full_like(high, most / 8))
    return size, Place.at(maximiser(hunt.norm, gradient, size, hunt.room), hunt.room, hunt.norm)


def _step(place: Place, gradient: Tensor, norm: Norm, *, size: Tensor, far: float) -> Place:
    """One step in the ball of the new size; under l1 part of the way to the best change for the gradient."""
    if norm is not Norm.L1:
        return move(place, gradient, norm, eps=size, length=far * size, step=0)
    change = place.change + far * (maximiser(norm, gradient, size, place.room) - place.change)
    return Place(project(norm, change, size, place.room), place.room, place.memory)


def _largest(hunt: Hunt) -> float:
    """The size at which nothing is held back, no more than the budget's."""
    values = hunt.batch.images[0].numel()
    whole = {Norm.L2: math.sqrt(values), Norm.L1: float(values)}.get(hunt.norm, 1.0)
    return min(whole, hunt.limit)


def _schedule(step: int, steps: int) -> tuple[float, float]:
    """Length of a step over the present size, and the share by which the size changes after it."""
    part = 0.5 * (1 + math.cos(math.pi * step / steps))
    return 0.01 + 0.29 * part, 0.002 + 0.078 * part


def _next(size: Tensor, best: Tensor, done: Tensor, *, shrink: float, most: float) -> Tensor:
    """Smaller after a success, larger after a failure, but below the smallest that did."""
    smaller = torch.minimum(size, best) * (1 - shrink)
    larger = torch.minimum(
        size * (1 + shrink), torch.where(best.isfinite(), best * (1 - 1e-4), torch.full_like(best, most))
    )
    return torch.where(done, smaller, larger)
