"""The search behind robustness curves: all sizes at once, each image attacked just below the smallest that flips it.

One gradient at the clean image serves every size: the single step of each size, tried by bisection, gives a first
bound. Then each image is attacked at the size below its bound, from its known flip, and goes on downwards after each
success. An image on which an attack fails is closed: smaller sizes count as not flipped. Images that are closed leave
at once and the next take their place, so that batches stay full. Curves fall by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from percuss.attacks.effort import Effort
from percuss.attacks.moves import Place, move
from percuss.attacks.prospects import Prospects
from percuss.attacks.slots import Slots, joined, part
from percuss.attacks.target import Batch, Target
from percuss.attacks.ways import margin_slope
from percuss.core.budget import Norm
from percuss.core.images import DENSE
from percuss.core.norms import Room, distance, maximiser, project, random_start
from percuss.core.seeds import ImageRandom


@dataclass
class Record:
    """What is known of one image.

    Attributes:
        high: index of the smallest size known to flip it; the number of sizes where none does.
        flips: changes that flip it, by index of the smallest size they fit in.
        attempt: where no attack got through, the last size tried, its best margin and that change.
        gradients, forwards: cost by index of size, of the passes spent there.
        failed: attacks in a row that failed; clean: the margin of the clean image.
    """

    high: int
    flips: dict[int, Tensor] = field(default_factory=dict)
    attempt: tuple[int, float, Tensor] | None = None
    gradients: dict[int, int] = field(default_factory=dict)
    forwards: dict[int, int] = field(default_factory=dict)
    failed: int = 0
    clean: float = 0.0


class Descent:
    """One search over the images of a batch; ``run`` gives a record per row.

    Args:
        target, batch: as attacks get them; ``batch`` holds all images, on the model's device.
        norm, sizes: ascending absolute sizes (``Budget.eps``), at least one.
        effort: how hard to try.
        random: makes the generator of some rows, for a purpose.
    """

    def __init__(
        self,
        target: Target,
        batch: Batch,
        *,
        norm: Norm,
        sizes: Sequence[float],
        effort: Effort,
        random: Callable[[list[int], str], ImageRandom],
    ) -> None:
        self.target, self.batch, self.norm, self.effort, self.random = (target, batch, norm, effort, random)
        self.sizes = torch.tensor(sizes, dtype=torch.float64, device=batch.images.device)
        self.prospects = Prospects.of(effort, norm, target.model)
        self.records: dict[int, Record] = {}

    def run(self, rows: Sequence[int], batch_size: int) -> dict[int, Record]:
        """Search the given rows, ``batch_size`` at once; a row that is known goes on below its smallest flip."""
        waiting = list(rows)
        queue, slots = self._nothing(), self._nothing()
        while True:
            while len(slots) < batch_size and (len(queue) or waiting):
                if not len(queue):
                    some, waiting = waiting[:batch_size], waiting[batch_size:]
                    queue = self._queued(torch.tensor(some, device=self.sizes.device))
                free = batch_size - len(slots)
                slots, queue = joined(slots, part(queue, 0, free)), part(queue, free)
            if not len(slots):
                return self.records
            slots = self._advance(slots)

    def _nothing(self) -> Slots:
        none = torch.zeros(0, dtype=torch.long, device=self.sizes.device)
        empty = self.batch.images[:0]
        return Slots.at(none, none, Place.at(empty, Room.of(empty), self.norm))

    def learn(self, row: int, change: Tensor, size: int) -> None:
        """A change from elsewhere that flips its image within the size of this index."""
        index = torch.tensor([row], device=self.sizes.device)
        self._keep(index, change[None].to(self.batch.images.device), torch.full_like(index, size))

    def _queued(self, rows: Tensor) -> Slots:
        known = torch.tensor([row in self.records for row in rows.tolist()], device=rows.device)
        slots = self._open(rows[~known]) if bool((~known).any()) else self._nothing()
        return joined(slots, self._resumed(rows[known])) if bool(known.any()) else slots

    def _resumed(self, rows: Tensor) -> Slots:
        """Known rows, just below their smallest flip and starting from it."""
        rows = rows[[0 < self.records[row].high < len(self.sizes) for row in rows.tolist()]]
        if not len(rows):
            return self._nothing()
        held = [self.records[row] for row in rows.tolist()]
        size = torch.tensor([record.high - 1 for record in held], device=rows.device)
        change = torch.stack([record.flips[record.high] for record in held]).to(self.batch.images.device)
        room = self.batch.room(rows)
        start = project(self.norm, change, self.sizes[size], room)
        return Slots.at(rows, size, Place.at(start, room, self.norm))

    def _open(self, rows: Tensor) -> Slots:
        """One gradient at the clean images; the single step of each size by bisection; then the first attack."""
        clean, last = self.batch.images[rows], len(self.sizes) - 1
        for row in rows.tolist():
            self.records[row] = Record(last + 1)
        logits, gradient = self._gradient(clean, rows, torch.full_like(rows, last))
        for row, margin in zip(rows.tolist(), self.target.margin(logits, rows).tolist(), strict=True):
            self.records[row].clean = margin
        room = self.batch.room(rows)
        low, high = torch.full_like(rows, -1), torch.full_like(rows, last + 1)
        change = maximiser(self.norm, gradient, self.sizes[-1].item(), room)
        while bool((high - low > 1).any()):
            at = (high - low > 1).nonzero().flatten()
            middle = (low[at] + high[at]) // 2
            tried = maximiser(self.norm, gradient[at], self.sizes[middle], room.rows(at))
            logits = self._logits((clean[at] + tried).clamp_(0, 1), rows[at], middle)
            done = self.target.done(logits, rows[at])
            self._keep(rows[at[done]], tried[done], middle[done])
            change[at[done]] = tried[done]
            high[at[done]], low[at[~done]] = middle[done], middle[~done]
        high = torch.tensor([self.records[row].high for row in rows.tolist()], device=rows.device)
        left = (high > 0).nonzero().flatten()
        size = (high[left] - 1).clamp_min(0)
        start = project(self.norm, change[left], self.sizes[size], room.rows(left))
        return Slots.at(rows[left], size, Place.at(start, room.rows(left), self.norm))

    def _advance(self, slots: Slots) -> Slots:
        """One step of every image; those at the end of their attack are looked at once more."""
        ended = slots.step >= self.effort.steps + self.prospects.further(slots)
        going, over = (slots.rows((~ended).nonzero().flatten()), slots.rows(ended.nonzero().flatten()))
        if len(over):
            over = self._finish(over)
        if not len(going):
            return over
        images = self._images(going)
        logits, gradient = self._gradient(images, going.row, going.size)
        del images
        going, left = self._succeed(going, logits)
        vain = self.prospects.in_vain(going, self._clean(going))
        if bool(vain.any()):
            over = joined(over, self._failed(going.rows(vain.nonzero().flatten())))
            going, left = going.rows((~vain).nonzero().flatten()), left[~vain]
        length = self.effort.reach * self.sizes[going.size] / self.effort.steps * going.shrink
        if self.norm is Norm.NONE:
            length = torch.full_like(length, 1 / 255)
        place = move(going.place, gradient[left], self.norm, eps=self.sizes[going.size], length=length, step=going.step)
        return joined(going.moved(place), over)

    def _clean(self, slots: Slots) -> Tensor:
        """Margins at the clean images."""
        margins = [self.records[row].clean for row in slots.row.tolist()]
        return torch.tensor(margins, dtype=torch.float64, device=slots.row.device)

    def _images(self, slots: Slots) -> Tensor:
        return (self.batch.images[slots.row] + slots.place.change).clamp_(0, 1)

    def _succeed(self, slots: Slots, logits: Tensor) -> tuple[Slots, Tensor]:
        """Flipped images are kept and go on at the next smaller size; closed ones leave. Which slots are left."""
        done = self.target.done(logits, slots.row)
        slots = slots.seen(self.target.margin(logits, slots.row))
        self._try(slots.rows((~done).nonzero().flatten()))
        if not bool(done.any()):
            return slots, torch.arange(len(slots), device=done.device)
        self._keep(slots.row[done], slots.place.change[done], slots.size[done])
        size = slots.size.clone()
        high = [self.records[row].high for row in slots.row[done].tolist()]
        size[done] = torch.tensor(high, device=done.device) - 1
        left = (size >= 0).nonzero().flatten()
        return slots.begun_anew(done, size).rows(left), left

    def _finish(self, slots: Slots) -> Slots:
        """The last iterate of an attack, without a gradient: success goes on, failure tries again or closes."""
        slots, _ = self._succeed(slots, self._logits(self._images(slots), slots.row, slots.size))
        fresh = slots.step == 0  # a success: its gradient comes with the next step
        kept = slots.rows(fresh.nonzero().flatten())
        change = project(self.norm, kept.place.change, self.sizes[kept.size], kept.place.room)
        kept = Slots.at(kept.row, kept.size, Place(change, kept.place.room, kept.place.memory))
        return joined(kept, self._failed(slots.rows((~fresh).nonzero().flatten())))

    def _failed(self, slots: Slots) -> Slots:
        """Attacks that did not get through: tried again from elsewhere, or their images are closed."""
        again, more = [], self.prospects.more(slots, self._clean(slots), top=len(self.sizes) - 1).tolist()
        for i in range(len(slots)):
            record = self.records[int(slots.row[i])]
            record.failed += 1
            if record.failed < self.effort.tries + more[i]:
                again.append(i)
        anew = slots.rows(torch.tensor(again, device=slots.row.device).long())
        return self._restarted(anew) if len(anew) else anew

    def _restarted(self, slots: Slots) -> Slots:
        """From a random start, which differs with each failure."""
        starts = []
        for i, row in enumerate(slots.row.tolist()):
            size = float(self.sizes[slots.size[i]])
            rng = self.random([row], f"curve|{size!r}|{self.records[row].failed}")
            starts.append(
                random_start(
                    self.norm, size, slots.place.room.rows(torch.arange(i, i + 1, device=slots.row.device)), rng
                )
            )
        place = Place.at(torch.cat(starts), slots.place.room, self.norm)
        return Slots.at(slots.row, slots.size, place)

    def _keep(self, rows: Tensor, changes: Tensor, size: Tensor) -> None:
        """Changes that flip their image, each at the smallest size it fits in."""
        if not len(rows):
            return
        measured = distance(self.norm, changes)
        for i, row in enumerate(rows.tolist()):
            fits = int((self.sizes * (1 + 1e-6) < measured[i]).sum()) if self.norm is not Norm.NONE else 0
            index, record = min(int(size[i]), fits), self.records[row]
            if index < record.high:
                record.high, record.failed, record.attempt = index, 0, None
                record.flips[index] = changes[i].detach().cpu()

    def _try(self, slots: Slots) -> None:
        """The best iterate of an attack that has not got through, for the report."""
        margins = slots.trail[:, -1].tolist()
        for i, row in enumerate(slots.row.tolist()):
            record, size = self.records[row], int(slots.size[i])
            if record.attempt is None or record.attempt[0] != size or margins[i] > record.attempt[1]:
                record.attempt = (size, margins[i], slots.place.change[i].detach().cpu())

    def _gradient(self, images: Tensor, rows: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        for row, index in zip(rows.tolist(), size.tolist(), strict=True):
            count(self.records[row].gradients, index)
            count(self.records[row].forwards, index)
        return self.target.gradient(images, rows, slope=self._slope(rows))

    def _slope(self, rows: Tensor) -> Callable[[Tensor], Tensor] | None:
        """The margin, which looks at the nearest class alone, is climbed first; after a failure the cross-entropy."""
        if self.target.model.task in DENSE:
            return None
        nearest = torch.tensor([self.records[row].failed % 2 == 0 for row in rows.tolist()], device=rows.device)

        def mixed(logits: Tensor) -> Tensor:
            first, second = (margin_slope(self.target, rows)(logits), self.target.direction(logits, rows))
            return torch.where(nearest.unsqueeze(1), first.to(second.dtype), second)

        return mixed

    def _logits(self, images: Tensor, rows: Tensor, size: Tensor) -> Tensor:
        for row, index in zip(rows.tolist(), size.tolist(), strict=True):
            count(self.records[row].forwards, index)
        return self.target.logits(images, rows)


def count(meter: dict[int, int], index: int, number: int = 1) -> None:
    """Book passes spent at a size."""
    meter[index] = meter.get(index, 0) + number
