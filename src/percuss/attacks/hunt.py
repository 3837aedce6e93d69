"""A search for the smallest change: what is the smallest of each image so far, who is left, what comes back.

An image leaves when its smallest change no longer shrinks; within a finite budget (not an infinite size, nor the norm
none) also as soon as a change fits it and survives rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from percuss.attacks.keeper import Keeper
from percuss.attacks.linear import nearest, nearest_values
from percuss.attacks.target import Attempt, Batch, Target
from percuss.attacks.ways import margin_slope
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.norms import distance, project

_HALVINGS = 6  # of the last part of the way from the clean image
_PART = 0.05  # that last part: a longer one would seldom stay flipped
_SHRINK = 1e-3  # a change smaller by less than this share counts as no smaller


class Hunt:
    """The record of one search.

    Args:
        target, batch, budget: as for every attack; an infinite size asks for the smallest change whatever it is.
        patience: steps without a smaller change after which an image leaves, once it has flipped.
        values: under l0, count changed values rather than pixels.
    """

    def __init__(
        self, target: Target, batch: Batch, budget: Budget, *, patience: int = 20, values: bool = False
    ) -> None:
        self.target, self.batch, self.patience, self.values = target, batch, patience, values
        self._budget = budget
        self.norm = Norm.L2 if budget.norm is Norm.NONE else budget.norm
        self.limit = budget.eps(batch.images.shape[1:], target.pixels)
        self._keeper = Keeper(target, batch, budget) if math.isfinite(self.limit) else None
        count, device = len(batch.images), batch.images.device
        self.rows = torch.arange(count, device=device)
        self.room = batch.room()
        self.best = torch.zeros_like(batch.images)
        self.size = torch.full((count,), math.inf, dtype=torch.float64, device=device)
        self._nearest = torch.zeros_like(batch.images)
        self._margin = torch.full_like(self.size, -math.inf)
        self._still = torch.zeros(count, dtype=torch.long, device=device)

    def measure(self, change: Tensor) -> Tensor:
        """Size of changes as this search counts, float64 ``[n]``; l0 a share."""
        if self.norm is Norm.L0 and self.values:
            return (change != 0).flatten(1).double().mean(1)
        return distance(self.norm, change)

    def only(self, norms: Sequence[Norm], who: str) -> Hunt:
        """This hunt, or AttackError where the attack ``who`` does not know the norm of the budget."""
        if self._budget.norm not in norms:
            raise AttackError(
                f"the attack {who} does not know this norm",
                value=self._budget.norm.value,
                allowed=", ".join(norm.value for norm in norms),
                next_step="use fmn, which knows linf, l2, l1 and l0",
            )
        return self

    def nearest(self, gradient: Tensor, need: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest change by which a linear score rises by ``need``, and its size."""
        room = self.room.rows(rows)
        if self.values and self.norm is Norm.L0:
            return nearest_values(gradient, need, room)
        return nearest(self.norm, gradient, need, room)

    def images(self, rows: Tensor, change: Tensor) -> Tensor:
        """Clean plus change, in [0, 1]."""
        return (self.batch.images[rows] + change).clamp_(0, 1)

    def gradient(self, rows: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """Logits at these changes and the gradient of the margin, in its scale."""
        return self.target.gradient(self.images(rows, change), rows, slope=margin_slope(self.target, rows))

    def look(self, rows: Tensor, change: Tensor) -> Tensor:
        """Evaluate changes without a gradient and note them; whether each flips its image."""
        logits = self.target.logits(self.images(rows, change), rows)
        self.note(rows, change, logits)
        return self.target.done(logits, rows)

    def note(self, rows: Tensor, change: Tensor, logits: Tensor) -> Tensor:
        """Note changes whose logits are known; where the smallest got smaller."""
        done, margin = self.target.done(logits, rows), self.target.margin(logits, rows)
        true = self.images(rows, change) - self.batch.images[rows]  # as float32 pixels have it
        size = self.measure(true)
        smaller = done & (size < self.size[rows])
        chosen = rows[smaller]
        self.best[chosen], self.size[chosen] = true[smaller], size[smaller]
        nearer = margin > self._margin[rows]
        self._nearest[rows[nearer]], self._margin[rows[nearer]] = change[nearer], margin[nearer]
        return smaller

    def see(self, rows: Tensor, change: Tensor, logits: Tensor) -> Tensor:
        """Note the iterates of a step; True for rows that need no further steps."""
        before = self.size[rows]
        smaller = self.note(rows, change, logits)
        clearly = self.size[rows] < before * (1 - _SHRINK)
        self._still[rows] = torch.where(clearly, 0, self._still[rows] + 1)
        tired = self.size[rows].isfinite() & (self._still[rows] >= self.patience)
        leave = tired & self.target.goal.early_stop
        if self._keeper is None:
            return leave
        fits = (smaller & (distance(self.norm, change) <= self.limit)).nonzero().flatten()
        if len(fits):  # as it is, and as far out as the budget lets it go, where rounding is less likely to undo it
            seen = self._keeper.see(rows[fits], self.images(rows[fits], change[fits]), logits[fits])
            leave[fits] |= seen
            again = fits[~seen]
            if len(again):
                leave[again] |= self._push_out(rows[again], change[again])
        return leave

    def refine(self) -> None:
        """Halve the last part of the way back to the clean image; forward passes only. Not for l0."""
        rows = self.size.isfinite().nonzero().flatten()
        if self.norm is Norm.L0 or not len(rows):
            return
        ends = self.best[rows].clone()
        low = torch.full_like(self.size[rows], 1 - _PART)
        high = torch.ones_like(low)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            flips = self.look(rows, ends * middle.view(-1, 1, 1, 1).to(ends.dtype))
            low, high = torch.where(flips, low, middle), torch.where(flips, middle, high)

    def attempt(self) -> Attempt:
        """The smallest change of each image where it fits; else the best, brought within the budget."""
        change = torch.where(self.size.isfinite().view(-1, 1, 1, 1), self.best, self._nearest)
        if self._keeper is None:
            return Attempt(self.images(self.rows, change))
        if len(self.rows):
            self._push_out(self.rows, change)
        return self._keeper.attempt()

    def _push_out(self, rows: Tensor, change: Tensor) -> Tensor:
        """The change at the full size of the budget, evaluated and kept where it is the best."""
        assert self._keeper is not None
        room = self.room.rows(rows)
        if self.norm is not Norm.L0:
            size = distance(self.norm, change).clamp_min(1e-30)
            stretch = torch.where(size < self.limit, self.limit / size, torch.ones_like(size)).clamp_max(1e6)
            change = change * stretch.view(-1, 1, 1, 1).to(change.dtype)
        change = project(self.norm, change, self.limit, room)
        images = self.images(rows, change)
        if not self._keeper.looks:
            return self._keeper.see(rows, images, images.new_zeros(0))
        return self._keeper.see(rows, images, self.target.logits(images, rows))
