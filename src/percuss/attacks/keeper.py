"""Keeps the best iterate of each image, and says which images are done."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.stored import as_stored


class Keeper:
    """Best iterate per image: done as stored, then done as float, then the larger margin."""

    def __init__(self, target: Target, batch: Batch, budget: Budget) -> None:
        self._target, self._batch, self._budget = target, batch, budget
        self._images = batch.images.clone()
        self._rank = torch.full((len(batch.images),), -1, device=batch.images.device)
        self._margin = torch.full((len(batch.images),), -torch.inf, dtype=torch.float64, device=batch.images.device)
        self._storable = storable(target, batch, budget)
        #: Whether what an iterate does decides anything: which one is kept, or when an image leaves.
        self.looks = target.goal.keep == "best" or target.goal.early_stop

    def see(self, rows: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        """Look at one iterate of some rows; True for rows that need no further steps."""
        if not self.looks:  # no pass is spent on looking
            self._images[rows] = images
            return torch.zeros(len(rows), dtype=torch.bool, device=images.device)
        done, margin = self._target.done(logits, rows), self._target.margin(logits, rows)
        stored = self._stored(rows, images, done)
        rank = done.long() + stored.long()
        better = (rank > self._rank[rows]) | ((rank == self._rank[rows]) & (margin > self._margin[rows]))
        if self._target.goal.keep == "last":
            better = torch.ones_like(better)
        chosen = rows[better]
        self._images[chosen] = images[better]
        self._rank[chosen], self._margin[chosen] = rank[better], margin[better]
        leave = done & (stored if self._storable else done)
        return leave if self._target.goal.early_stop else torch.zeros_like(leave)

    def attempt(self) -> Attempt:
        """The best image of every row."""
        return Attempt(self._images)

    def _stored(self, rows: Tensor, images: Tensor, done: Tensor) -> Tensor:
        found = torch.zeros_like(done)
        if self._storable and self._target.pixels is not None and bool(done.any()):
            where = done.nonzero().flatten()
            saved = as_stored(self._batch.images[rows[where]], images[where], self._budget, self._target.pixels)
            found[where] = self._target.done(self._target.logits(saved, rows[where]), rows[where])
        return found


def storable(target: Target, batch: Batch, budget: Budget) -> bool:
    """Whether a change within the budget can survive rounding: linf below one native level cannot."""
    if target.pixels is None:
        return False
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    return budget.norm is not Norm.LINF or eps * target.pixels.levels + 1e-6 >= 1
