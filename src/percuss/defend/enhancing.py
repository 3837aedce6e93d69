"""Method two of Avramidis et al. as they used it: a sign for each class's pattern that makes the prediction best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from percuss.attacks import choosing
from percuss.attacks.hypothesis import AT_ONCE, Candidates, judged
from percuss.attacks.target import Batch, Target
from percuss.core.budget import Budget
from percuss.core.norms import Room


@dataclass(frozen=True)
class Choice:
    """How the signs are chosen.

    Attributes:
        search: ``exact`` judges all ``3 ** classes`` choices, ``quick`` about ``asks`` of them.
        criterion: ``loss`` (mean cross-entropy of the pixels) or ``mae`` (mean absolute difference between softmax and
            one-hot truth, as published).
        asks: candidates judged for each image by ``quick``; at least 50.
    """

    search: Literal["quick", "exact"] = "quick"
    criterion: Literal["loss", "mae"] = "loss"
    asks: int = 100


@dataclass(frozen=True)
class Unclipped(Batch):
    """A batch whose patterns are not cut to the pixel range; their sum is, as published."""

    def room(self, rows: Tensor | None = None) -> Room:
        """No bounds."""
        images = self.images if rows is None else self.images[rows]
        return Room(torch.full_like(images, -torch.inf), torch.full_like(images, torch.inf))


def enhanced(target: Target, batch: Batch, budget: Budget, *, choice: Choice) -> Tensor:
    """The images with the choice of minus, nothing or plus of each class's pattern whose mask is nearest to the truth.

    The truth decides, so this is for images of which the truth may be used: training images, never those that test.
    No image is worse by the criterion than it was: "nothing of all" is a choice.

    Args:
        target, batch, budget: as for every attack; the patterns are those of ``attacks.hypothesis``.
        choice: of search and criterion.
    """
    rows = torch.arange(len(batch.images), device=batch.images.device)
    made, count = Candidates(target, batch, budget, rows=rows), len(target.model.classes)

    def badness(images: Tensor, index: Tensor) -> Tensor:
        return judged(target.logits(images, index), batch.targets[index], choice.criterion)

    def better(index: Tensor, choices: Tensor) -> Tensor:
        return -badness(made.images(index, choices), rows[index.to(rows.device)])

    if choice.search == "exact":
        signs, _ = choosing.exact(better, len(rows), count, at_once=AT_ONCE * len(rows))
    else:
        signs, _ = choosing.quick(better, len(rows), count, asks=choice.asks, at_once=AT_ONCE * len(rows))
    found = made.images(rows, signs)
    # Measured once more, side by side: rounding in batches of other sizes must not let a worse image through.
    worse = badness(found, rows) > badness(batch.images, rows)
    return torch.where(worse.to(found.device).view(-1, 1, 1, 1), batch.images, found)
