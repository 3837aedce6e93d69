"""Method two of Avramidis et al. against the model: a sign for each class's pattern that makes the mask worst."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from percuss.attacks import choosing, pixels
from percuss.attacks.keeper import Keeper
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core import dense
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.norms import maximiser, project
from percuss.core.seeds import ImageRandom

TASKS = ("segment",)
#: Ways to judge a candidate by, each larger the worse the mask.
CRITERIA = {"loss": dense.cross_entropy, "mae": pixels.mean_absolute_error}


def hypothesis(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    search: Literal["quick", "exact"] = "quick",
    criterion: str = "loss",
    asks: int = 100,
) -> Attempt:
    """For each class a pattern, the best change towards that class everywhere; each is taken away, left out or added.

    All patterns come from the gradients at the clean image. Each has the size of the budget over the number of classes
    (linf, l2, l1), so that no choice leaves the budget; under the other norms the sum is projected.

    Args:
        target, batch, budget: as for every attack; the task is segment.
        rng: not used; nothing here is random.
        search: ``exact`` judges all ``3 ** classes`` choices, ``quick`` about ``asks`` of them (``attacks.choosing``).
        criterion: ``loss``: the mean cross-entropy of the pixels; ``mae``: the mean absolute difference between softmax
            and one-hot truth, as published.
        asks: candidates judged for each image by ``quick``.
    """
    check_settings(search, criterion, asks)
    keeper = Keeper(target, batch, budget)
    rows = torch.arange(len(batch.images), device=batch.images.device)
    logits = target.logits(batch.images, rows)
    rows = rows[~keeper.see(rows, batch.images, logits)]
    if not len(rows):
        return keeper.attempt()
    made = Candidates(target, batch, budget, rows=rows)

    def worse(index: Tensor, choices: Tensor) -> Tensor:
        images = made.images(index, choices)
        logits = target.logits(images, rows[index])
        keeper.see(rows[index], images, logits)
        return judged(logits, batch.targets[rows[index]], criterion)

    count = len(target.model.classes)
    if search == "exact":
        choosing.exact(worse, len(rows), count)
    else:
        choosing.quick(worse, len(rows), count, asks=asks)
    return keeper.attempt()


class Candidates:
    """The patterns of some rows of a batch, and the images that choices of signs make of them."""

    def __init__(self, target: Target, batch: Batch, budget: Budget, *, rows: Tensor) -> None:
        self._clean, self._room, self._norm = batch.images[rows], batch.room(rows), budget.norm
        self._eps = budget.eps(batch.images.shape[1:], target.pixels)
        count = len(target.model.classes)
        adds = budget.norm in (Norm.LINF, Norm.L2, Norm.L1)
        own = self._eps / count if adds else self._eps
        if budget.norm is Norm.NONE:
            self._norm, own, self._eps = Norm.LINF, 1 / 255, count / 255
        found = []
        for wanted in range(count):
            slope = pixels.towards(batch.targets[rows], wanted)
            _, gradient = target.gradient(self._clean, rows, slope=slope)
            found.append(maximiser(self._norm, gradient, own, self._room))
        self._patterns = torch.stack(found, dim=1)  # [n, classes, C, H, W]

    def images(self, index: Tensor, choices: Tensor) -> Tensor:
        """Images of these rows (positions among the rows given) with a sign for each pattern, within the budget."""
        signs = choices.to(self._patterns).to(self._patterns.device)
        index = index.to(self._patterns.device)
        change = torch.einsum("np,npchw->nchw", signs, self._patterns[index])
        return (self._clean[index] + project(self._norm, change, self._eps, self._room.rows(index))).clamp_(0, 1)


def judged(logits: Tensor, truth: Tensor, criterion: str) -> Tensor:
    """How bad each answer is, float64 ``[n]`` on the CPU: the larger the worse for the model."""
    return CRITERIA[criterion](logits.double(), truth).cpu()


def check_settings(search: str, criterion: str, asks: int) -> None:
    """AttackError for a setting without meaning."""
    if search not in ("quick", "exact"):
        raise AttackError("unknown value of the setting search", value=search, allowed="quick, exact")
    if criterion not in CRITERIA:
        raise AttackError("unknown value of the setting criterion", value=criterion, allowed=", ".join(CRITERIA))
    if asks < 50:
        raise AttackError("the setting asks is too small", value=asks, allowed="50 or more")
