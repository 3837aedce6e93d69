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

TASKS = ("segment", "heatmap")
#: Ways to judge a candidate by, each larger the worse the mask.
CRITERIA = {"loss": dense.cross_entropy, "mae": pixels.mean_absolute_error}
#: Candidates in one pass for each image of the batch: a pass without gradients takes the less memory.
AT_ONCE = 2


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
        target, batch, budget: as for every attack; the task is segment or heatmap.
        rng: not used; nothing here is random.
        search: ``exact`` judges all ``3 ** classes`` choices, ``quick`` about ``asks`` of them (``attacks.choosing``).
        criterion: ``loss``: the mean cross-entropy of the pixels; ``mae``: the mean absolute difference between softmax
            and one-hot truth, as published.
        asks: candidates judged for each image by ``quick``.
    """
    check_settings(search, criterion, asks)
    keeper = Keeper(target, batch, budget)
    rows = torch.arange(len(batch.images), device=batch.images.device)
    made = Candidates(target, batch, budget, rows=rows)
    keeper.see(rows, batch.images, made.logits)
    trial = _Trial(target, batch, keeper, made=made, criterion=criterion)
    count, at_once = len(target.model.classes), AT_ONCE * len(rows)
    if search == "exact":
        choices, _ = choosing.exact(trial.score, len(rows), count, at_once=at_once)
    else:
        choices, _ = choosing.quick(trial.score, len(rows), count, asks=asks, at_once=at_once)
    if target.goal.keep == "last":
        images = made.images(rows, choices)
        keeper.see(rows, images, target.logits(images, rows) if keeper.looks else images.new_zeros(0))
    return keeper.attempt()


class _Trial:
    """Judges choices: each image that they make once, however many choices make it."""

    def __init__(self, target: Target, batch: Batch, keeper: Keeper, *, made: Candidates, criterion: str) -> None:
        self._target, self._batch, self._keeper = target, batch, keeper
        self._made, self._criterion = made, criterion
        self._known: dict[tuple[int, int], float] = {}

    def score(self, rows: Tensor, choices: Tensor) -> Tensor:
        """How bad the answer to each candidate is, float64 ``[n]`` on the CPU."""
        rows, choices = rows.to(self._batch.images.device), choices.to(self._batch.images.device)
        images = self._keeper.judged(rows, self._made.images(rows, choices))
        keys = list(zip(rows.tolist(), fingerprints(images).tolist(), strict=True))
        fresh = {key: place for place, key in reversed(list(enumerate(keys))) if key not in self._known}
        new = torch.tensor(sorted(fresh.values()), dtype=torch.long, device=rows.device)
        if len(new):
            logits = self._target.logits(images[new], rows[new])
            bad = judged(logits, self._batch.targets[rows[new]], self._criterion)
            self._known |= {keys[place]: value for place, value in zip(new.tolist(), bad.tolist(), strict=True)}
            for part in _apart(rows[new]):
                self._keeper.see(rows[new][part], images[new][part], logits[part])
        return torch.tensor([self._known[key] for key in keys], dtype=torch.float64)


def fingerprints(images: Tensor) -> Tensor:
    """A number of each image, int64 ``[n]``, the same for the same values: a sum that wraps, so order is nothing."""
    bits = images.contiguous().flatten(1).view(torch.int32).long()
    draw = torch.Generator().manual_seed(bits.shape[1])
    factors = torch.randint(-(2**62), 2**62, (bits.shape[1],), generator=draw).to(bits.device)
    return (bits * factors).sum(1)


def _apart(rows: Tensor) -> list[Tensor]:
    """Places of these rows, in groups that hold no row twice and keep each row's order."""
    met: dict[int, int] = {}
    groups: list[list[int]] = []
    for place, row in enumerate(rows.tolist()):
        met[row] = met.get(row, -1) + 1
        if met[row] == len(groups):
            groups.append([])
        groups[met[row]].append(place)
    return [torch.tensor(group, device=rows.device) for group in groups]


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
        slopes = [pixels.towards(batch.targets[rows], wanted) for wanted in range(count)]
        #: What the model says of the clean images.
        self.logits, gradients = target.gradients(self._clean, rows, slopes)
        self._patterns = [maximiser(self._norm, gradient, own, self._room) for gradient in gradients]

    def images(self, index: Tensor, choices: Tensor) -> Tensor:
        """Images of these rows (positions among the rows given) with a sign for each pattern, within the budget."""
        index = index.to(self._clean.device)
        signs = choices.to(self._clean)[:, :, None, None, None]
        change = torch.zeros_like(self._clean[index])
        for number, pattern in enumerate(self._patterns):  # not all at once: that takes the memory of all
            change += signs[:, number] * pattern[index]
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
