"""All sizes of a norm in one search, and the verdict at each: what the attack ``curve`` does differently."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.attacks.cascade import close
from percuss.attacks.descent import Descent, Record
from percuss.attacks.effort import Effort, effort_of
from percuss.attacks.eval_mode import device_of
from percuss.attacks.job import Cost, Job, Rows, given_rows, in_chunks, strike
from percuss.attacks.keeper import delivered, storable
from percuss.attacks.measured import Measured, measure, refuse_breach
from percuss.attacks.pgd import pgd
from percuss.attacks.target import Batch
from percuss.core.model import is_right, out_of_memory
from percuss.core.seeds import ImageRandom

Records = dict[int, Record]
#: Attacks that the engine runs over all sizes of a norm in one search.
AT_ONCE = ("curve", "standard")


def all_sizes(job: Job, clean: Tensor) -> Records:
    """Search every rightly decided image over all sizes; a record by row."""
    rows = is_right(clean, job.batch.targets, job.model.task).nonzero().flatten().tolist()
    while True:
        try:
            return _searched(job, rows, effort_of(job.own.get("effort", "standard")))
        except RuntimeError as error:
            if not out_of_memory(error) or job.batch_size == 1:
                raise
            job.batch_size //= 2
            job.notes.append(f"out of memory; went on with {job.batch_size} images")


def _searched(job: Job, rows: list[int], effort: Effort) -> Records:
    device = device_of(job.model)
    region = None if job.batch.region is None else job.batch.region.to(device)
    batch = Batch(job.batch.images.to(device), job.batch.targets.to(device), region)
    target = job.target(batch)

    def random(some: list[int], purpose: str) -> ImageRandom:
        return ImageRandom(job.seed, [job.batch.ids[row] for row in some], purpose)

    ordered = job.ordered
    sizes = [job.eps(budget) for budget in ordered]
    search = Descent(target, batch, norm=ordered[0].norm, sizes=sizes, effort=effort, random=random)
    search.run(rows, job.batch_size)
    if job.name == "standard":
        close(job, search)
    job.heed(job.batch.ids, target)
    return search.records


def settle(job: Job, index: int, held: Measured, *, known: tuple[Tensor, Records]) -> tuple[Cost, Tensor]:
    """The verdict of the user's model at one size, taken into ``held``; cost, and rows that come from a smaller size.

    A flip that the model does not confirm, or that rounding for storage undoes though it need not, is searched once
    more at this size, on the model itself and with rounding in view.
    """
    clean, records = known
    right = is_right(clean, job.batch.targets, job.model.task)
    before = (held.success | held.success_stored) & right
    count, fresh = len(job.batch.ids), torch.zeros(len(job.batch.ids), dtype=torch.bool)
    cost = Cost(torch.zeros(count, dtype=torch.long), torch.zeros(count, dtype=torch.long))
    for row, record in records.items():
        cost.gradients[row], cost.forwards[row] = record.gradients.get(index, 0), record.forwards.get(index, 0)
    changes = {row: change for row, record in records.items() if (change := _change(record, index)) is not None}
    wanted = [row for row in changes if not (held.success[row] and held.success_stored[row])]
    for part, found in in_chunks(job, wanted, lambda rows: _judged(job, index, rows, changes)):
        fresh[_take(held, part, found)] = True
    for part, (found, spent) in in_chunks(job, _open(job, index, held, records), lambda rows: _again(job, index, rows)):
        fresh[_take(held, part, found)] = True
        cost.gradients[list(part)] += spent.gradients
        cost.forwards[list(part)] += spent.forwards
    return cost, before & ~fresh


def _change(record: Record, index: int) -> Tensor | None:
    """The change to judge at a size: the flip nearest below it, or the best attempt of just this size."""
    below = [key for key in record.flips if key <= index]
    if below:
        return record.flips[max(below)]
    return record.attempt[2] if record.attempt is not None and record.attempt[0] == index else None


def _judged(job: Job, index: int, rows: Rows, changes: dict[int, Tensor]) -> Measured:
    given, budget = given_rows(job, rows), job.ordered[index]
    change = torch.stack([changes[row] for row in rows]).to(given.images.device)
    attacked = (given.images + change).clamp_(0, 1)
    ids = [job.batch.ids[row] for row in rows]
    refuse_breach(given.images, attacked, budget=budget, eps=job.eps(budget), who=(job.name, ids))
    attacked = delivered(attacked, given, budget, target=job.target(given))
    shown, score = (given.images, given.targets), job.score(given)
    return measure(job.model, shown, attacked, budget=budget, pixels=job.pixels, score=score)


def _take(held: Measured, part: Rows, found: Measured) -> Tensor:
    rows = torch.tensor(list(part))
    better = held.improved_by(rows, found)
    held.replace(rows, found, better)
    return rows[better]


def _open(job: Job, index: int, held: Measured, records: Records) -> list[int]:
    """Rows whose flip is not confirmed, or not as stored where it could be."""
    able = storable(job.target(given_rows(job, [])), given_rows(job, []), job.ordered[index])
    return [
        row
        for row, record in records.items()
        if record.high <= index and not (held.success[row] and (held.success_stored[row] or not able))
    ]


def _again(job: Job, index: int, rows: Rows) -> tuple[Measured, Cost]:
    """A plain attack at this size, on the model itself, that keeps what rounding keeps."""
    steps, search = effort_of(job.own.get("effort", "standard")).steps, job.search
    job.search = None
    try:
        return strike(job, job.ordered[index], rows, means=(pgd, {"steps": steps}))
    finally:
        job.search = search
