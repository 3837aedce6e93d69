"""Keeps the best iterate of each image, and says which images are done."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange
from percuss.core.stored import as_stored

#: Iterates of an image that wait for a look as stored, where none leaves early.
_WAITING = 5


class Keeper:
    """Best iterate per image: done as stored, then done as float, then the larger margin.

    Of heat maps without early stop the one with the largest cross-entropy, whatever its threshold says.
    """

    def __init__(self, target: Target, batch: Batch, budget: Budget) -> None:
        self._target, self._batch, self._budget = target, batch, budget
        self._images = batch.images.clone()
        self._rank = torch.full((len(batch.images),), -1, device=batch.images.device)
        self._margin = torch.full((len(batch.images),), -torch.inf, dtype=torch.float64, device=batch.images.device)
        self._storable = storable(target, batch, budget)
        self._native = target.goal.rounding == "native" and native_range(target.pixels, batch.images) is not None
        keeps = target.goal.keep == "best" and not target.goal.early_stop
        self._by_merit = target.model.task == "heatmap" and not target.goal.early_stop
        self._late = keeps and self._storable and not self._native
        self._waiting: dict[int, list[tuple[float, Tensor]]] = {}
        #: Whether what an iterate does decides anything: which one is kept, or when an image leaves.
        self.looks = target.goal.keep == "best" or target.goal.early_stop

    def see(self, rows: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        """Look at one iterate of some rows; True for rows that need no further steps."""
        if not self.looks:  # no pass is spent on looking
            self._images[rows] = self._batch.within(images, rows)
            return torch.zeros(len(rows), dtype=torch.bool, device=images.device)
        images, given = self.judged(rows, images), images
        if self._native and not torch.equal(images, given):
            logits = self._target.logits(images, rows)
        if self._by_merit:
            flat = torch.zeros_like(rows)
            self._take(rows, images, self._target.merit(logits, rows), flat)
            return flat.bool()
        done, margin = self._target.verdict(logits, rows)
        if self._late:
            self._take(rows[~done], images[~done], margin[~done], torch.zeros_like(rows[~done]))
            self._put_off(rows[done], images[done], margin[done])
            return torch.zeros_like(done)
        stored = done if self._native else self._stored(rows, images, done)
        self._take(rows, images, margin, done.long() + stored.long())
        leave = done & (stored if self._storable else done)
        return leave if self._target.goal.early_stop else torch.zeros_like(leave)

    def _take(self, rows: Tensor, images: Tensor, margin: Tensor, rank: Tensor) -> None:
        """Keep what is better than what is kept; with ``keep="last"`` everything."""
        better = (rank > self._rank[rows]) | ((rank == self._rank[rows]) & (margin > self._margin[rows]))
        if self._target.goal.keep == "last":
            better = torch.ones_like(better)
        chosen = rows[better]
        self._images[chosen] = images[better]
        self._rank[chosen], self._margin[chosen] = rank[better], margin[better]

    def _put_off(self, rows: Tensor, images: Tensor, margin: Tensor) -> None:
        """Done iterates that may turn out the best wait, so that few of them cost a pass as stored."""
        for row, image, lead in zip(rows.tolist(), images, margin.tolist(), strict=True):
            if self._rank[row] < 2 or lead > self._margin[row]:
                self._waiting.setdefault(row, []).append((lead, image.clone()))
        self._settle([row for row, some in self._waiting.items() if len(some) >= _WAITING])

    def _settle(self, rows: list[int]) -> None:
        """Look at the waiting iterates of these rows as stored, the largest margin first, until one survives."""
        queues = {row: sorted(self._waiting.pop(row), key=lambda held: -held[0]) for row in rows}
        while queues:
            heads = [queue.pop(0) for queue in queues.values()]
            places = torch.tensor(list(queues), device=self._images.device)
            images, margin = (
                torch.stack([image for _, image in heads]),
                self._margin.new_tensor([lead for lead, _ in heads]),
            )
            stored = self._stored(places, images, torch.ones_like(places, dtype=torch.bool))
            self._take(places, images, margin, 1 + stored.long())
            left = zip(queues.items(), stored.tolist(), strict=True)
            queues = {row: queue for (row, queue), survived in left if queue and not survived}

    def attempt(self) -> Attempt:
        """The best image of every row."""
        self._settle(list(self._waiting))
        return Attempt(delivered(self._images, self._batch, self._budget, target=self._target))

    def judged(self, rows: Tensor, images: Tensor) -> Tensor:
        """Images of these rows as they are judged: clean outside the region, rounded where the goal says so."""
        images = self._batch.within(images, rows)
        if not self._native:
            return images
        clean = self._batch.images[rows]
        return as_stored(clean, images, self._budget, native_range(self._target.pixels, clean))

    def _stored(self, rows: Tensor, images: Tensor, done: Tensor) -> Tensor:
        found = torch.zeros_like(done)
        if self._storable and self._target.pixels is not None and bool(done.any()):
            where = done.nonzero().flatten()
            saved = as_stored(self._batch.images[rows[where]], images[where], self._budget, self._target.pixels)
            found[where] = self._target.done(self._target.logits(saved, rows[where]), rows[where])
        return found


def delivered(images: Tensor, batch: Batch, budget: Budget, *, target: Target) -> Tensor:
    """Attacked images of the whole batch as they count: clean outside the region, and rounded where the goal says so.

    AttackError where rounding is asked for and ``native_range`` refuses.
    """
    images = batch.within(images)
    if target.goal.rounding != "native":
        return images
    return as_stored(batch.images, images, budget, native_range(target.pixels, batch.images))


def native_range(pixels: PixelRange | None, clean: Tensor) -> PixelRange:
    """The native range; AttackError where it is not known, or where the clean images are not at its levels.

    A change between levels of clean images that lie off them could not be rounded within the budget.
    """
    wrong = "unknown native range" if pixels is None else ""
    if pixels is not None and clean.numel():
        levels = clean.double() * pixels.levels
        off = float((levels - levels.round()).abs().max())
        wrong = f"clean values up to {off:.3g} levels off their nearest" if off > 1e-2 else ""
    if pixels is None or wrong:
        raise AttackError(
            "the setting rounding=native cannot be used on these images",
            value=wrong,
            allowed="images at the levels of their native range",
            next_step="name the range they are stored in (pixels=PixelRange(low, high, step, unit)), or round them",
        )
    return pixels


def storable(target: Target, batch: Batch, budget: Budget) -> bool:
    """Whether a change within the budget can survive rounding: linf below one native level cannot."""
    if target.pixels is None:
        return False
    eps = budget.eps(batch.images.shape[1:], target.pixels)
    return budget.norm is not Norm.LINF or eps * target.pixels.levels + 1e-6 >= 1
