"""What closes an image in the standard suite: stronger attacks just below the smallest size known to flip it.

Each image is attacked by one closer after the other, cheapest first. A success goes back into the search, which goes on
downwards from it; then the closers try anew, just below. An image on which all fail is closed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from percuss.attacks.apgd import apgd
from percuss.attacks.ddn import ddn
from percuss.attacks.descent import Descent, count
from percuss.attacks.effort import effort_of
from percuss.attacks.fmn import fmn
from percuss.attacks.job import Job, Rows, in_chunks, strike
from percuss.attacks.sigma_zero import sigma_zero
from percuss.attacks.square import square
from percuss.attacks.target import Target
from percuss.core.budget import Norm

#: Steps, steps towards each class, queries, and the share of images that queries are spent on.
_MEANS = {"quick": (20, 10, 0, 0.0), "standard": (50, 20, 500, 0.125), "thorough": (100, 50, 1000, 0.5)}

#: What looks for the smallest change, by norm.
_SMALLEST: dict[Norm, Callable[..., Any]] = {Norm.LINF: fmn, Norm.L2: ddn, Norm.L1: fmn, Norm.L0: sigma_zero}


@dataclass(frozen=True)
class Closer:
    """An attack with its settings, and the share of images it is tried on."""

    label: str
    attack: Callable[..., Any]
    settings: dict[str, Any]
    share: float = 1.0

    def tries(self, image_id: str) -> bool:
        """Whether it is tried on this image: drawn by the id, so that batch and order do not matter."""
        digest = hashlib.sha256(f"{self.label}|{image_id}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < self.share * 2**32


def closers(effort: str, target: Target, norm: Norm) -> list[Closer]:
    """The order for an effort and a norm.

    The loss towards other classes needs three of them, or several labels, and no class that is wanted. The attack for
    the smallest change stands first under l0 and l1; under linf and l2 only ``thorough`` has it, near the end.
    """
    effort_of(effort)
    steps, towards, queries, share = _MEANS[effort]
    found = [Closer(f"apgd {loss}", apgd, {"loss": loss, "steps": steps}) for loss in ("ce", "margin")]
    several = target.model.task == "multilabel" or len(target.model.classes) > 2
    if several and target.goal.target is None:
        found.append(Closer("apgd targeted", apgd, {"loss": "targeted", "steps": towards}))
    if norm in _SMALLEST:
        attack = _SMALLEST[norm]
        smallest = Closer(attack.__name__, attack, {"steps": steps})
        found = [smallest, *found] if norm in (Norm.L0, Norm.L1) else found + [smallest] * (effort == "thorough")
    if queries:
        found.append(Closer("square", square, {"queries": queries}, share))
    return found


def close(job: Job, search: Descent) -> None:
    """Run the closers over every image that some size leaves unflipped; what they find goes into the search."""
    listed = closers(job.own.get("effort", "standard"), search.target, search.norm)
    gained: dict[str, int] = defaultdict(int)
    waiting = {row: 0 for row, record in search.records.items() if record.high > 0}
    while waiting:
        for (stage, index), rows in sorted(_grouped(job, search, waiting, listed).items()):
            found = _struck(job, search, rows, at=(listed[stage], stage, index))
            gained[listed[stage].label] += len(found)
            for row in rows:
                waiting[row] = stage + 1
            if found and listed[stage].attack is square:
                job.queried |= {job.batch.ids[row] for row in found}
            search.run(found, job.batch_size)
            waiting |= dict.fromkeys(found, 0)
        waiting = {row: at for row, at in waiting.items() if at < len(listed) and search.records[row].high > 0}
    if gained:
        told = ", ".join(f"{closer.label} {gained[closer.label]}" for closer in listed)
        job.notes.append(f"standard: after the search, sizes flipped by {told}")


def _grouped(
    job: Job, search: Descent, waiting: dict[int, int], listed: Sequence[Closer]
) -> dict[tuple[int, int], list[int]]:
    """Rows by their next closer and by size; rows that a closer does not try go on to the one after it."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, last in waiting.items():
        name = job.batch.ids[row]
        stage = next((at for at in range(last, len(listed)) if listed[at].tries(name)), len(listed))
        waiting[row] = stage
        if stage < len(listed):
            groups[stage, search.records[row].high - 1].append(row)
    return groups


def _struck(job: Job, search: Descent, rows: Rows, *, at: tuple[Closer, int, int]) -> list[int]:
    """The rows that a closer flips at the size of an index; each is learnt, and what it cost is booked."""
    (closer, stage, index), found = at, []
    budget = job.ordered[index]
    means = (closer.attack, closer.settings)
    for part, (measured, cost) in in_chunks(
        job, rows, lambda some: strike(job, budget, some, restart=stage + 1, means=means)
    ):
        for i, row in enumerate(part):
            record = search.records[row]
            count(record.gradients, index, int(cost.gradients[i]))
            count(record.forwards, index, int(cost.forwards[i]))
            change = measured.images[i] - job.batch.images[row]
            if bool(measured.success[i]):
                search.learn(row, change, index)
                found.append(row)
            elif record.attempt is None or record.attempt[0] != index or measured.margin[i] > record.attempt[1]:
                record.attempt = (index, float(measured.margin[i]), change)
    return found
