"""A sweep at work: the clean pass, chunks that shrink when memory runs out, one strike with its verdict, the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from percuss.attacks.aims import Known, aim_of
from percuss.attacks.eval_mode import device_of
from percuss.attacks.fast import TOLERANCE, search_copy
from percuss.attacks.keeper import delivered
from percuss.attacks.measured import Measured, measure, refuse_breach
from percuss.attacks.target import Batch, Goal, Target
from percuss.core import dense
from percuss.core.budget import Budget, Norm
from percuss.core.errors import ModelError
from percuss.core.images import DENSE, PixelRange, Tensors
from percuss.core.losses import cross_entropy
from percuss.core.model import Model, confidence, decide, is_right, out_of_memory
from percuss.core.norms import distance
from percuss.core.outcome import Outcome
from percuss.core.seeds import ImageRandom

Rows = Sequence[int]
T = TypeVar("T")
#: An attack's function and its own settings.
Means = tuple[Callable[..., Any], dict[str, Any]]


@dataclass
class Swept:
    """What a sweep gives: one outcome per budget and image (budgets in order), images by budget text, notes.

    ``silent`` names the images on which a gradient was asked for and was zero every time; ``queried`` those that only
    an attack without gradients flipped at some size.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    images: dict[str, Tensor] = field(default_factory=dict)
    stored: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    queried: list[str] = field(default_factory=list)


@dataclass
class Job:
    """One sweep at work: the attack with its settings, what it attacks, and the batch size that fits."""

    name: str
    attack: Callable[..., Any]
    model: Model
    batch: Tensors
    budgets: Sequence[Budget]
    goal: Goal
    own: dict[str, Any]
    seed: int
    batch_size: int
    notes: list[str] = field(default_factory=list)
    search: Model | None = None
    asked: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    queried: set[str] = field(default_factory=set)

    @property
    def pixels(self) -> PixelRange | None:
        """Native range of the images."""
        return self.batch.range

    @property
    def ordered(self) -> list[Budget]:
        """Budgets, smallest first for these images."""
        return sorted(self.budgets, key=self.eps)

    def eps(self, budget: Budget) -> float:
        """Absolute size of a budget for these images."""
        return budget.eps(self.batch.images.shape[1:], self.pixels)

    def target(self, given: Batch) -> Target:
        """What an attack of some images is handed: the copy to search on, with the goal."""
        search = self.search or self.model
        slack = 0.0 if search is self.model else 2 * TOLERANCE
        return Target(search, given, self.goal, pixels=self.pixels, slack=slack)

    def score(self, given: Batch, logits: Tensor | None = None) -> Callable[[Tensor, Tensor], Tensor] | None:
        """How far an aim is reached, from logits and targets: the attack's own, or of masks a class everywhere.

        Of heat maps without another aim their cross-entropy. None where there is no such aim. ``logits`` are those of
        the clean images given, where they are known.
        """
        wanted = self.goal.target
        if self.model.task in DENSE and isinstance(wanted, int):
            return lambda logits, truth: dense.agreement(logits.argmax(1), dense.everywhere(truth, wanted))
        aim = aim_of(self.attack, self.model.classes, self.own)
        if aim is None:
            return partial(cross_entropy, task="heatmap") if self.by_merit else None
        with torch.no_grad():
            before = (self.model(given.images) if logits is None else logits).argmax(1)
        return lambda logits, truth: aim.score(logits, Known(truth, before, given.region))

    @property
    def by_merit(self) -> bool:
        """Whether the cross-entropy alone says which attacked image is better: of heat maps, never done."""
        return self.model.task == "heatmap" and self.goal.target is None

    def heed(self, ids: Sequence[str], target: Target) -> None:
        """Note on which images a gradient was asked for, and where it was not zero."""
        self.asked |= {name for name, count in zip(ids, target.gradient_evaluations.tolist(), strict=True) if count}
        self.heard |= {name for name, seen in zip(ids, target.saw_gradient.tolist(), strict=True) if seen}


@dataclass
class Cost:
    """Gradients and forward passes the attack asked for, per image."""

    gradients: Tensor
    forwards: Tensor


def clean_logits(job: Job) -> Tensor:
    """Logits of the clean images, on the CPU."""

    def forward(rows: Rows) -> Tensor:
        with torch.no_grad():
            logits: Tensor = job.model(job.batch.images[list(rows)].to(device_of(job.model)))
        return logits.cpu()

    parts = [part for _, part in in_chunks(job, range(len(job.batch.ids)), forward)]
    logits = torch.cat(parts) if parts else torch.zeros(0, job.model.outputs[0])
    bad = (~torch.isfinite(logits)).flatten(1).any(1).nonzero().flatten().tolist()
    if bad:
        raise ModelError(
            "the model's logits hold NaN or infinity",
            value=f"{len(bad)} of {len(logits)} clean images, first {job.batch.ids[bad[0]]}",
            allowed="finite logits",
            next_step="look at the weights and the range of the input",
        )
    return logits


def choose_search(job: Job, clean: Tensor) -> None:
    """Sets the faster copy to search on where there is one; the verdict stays with the model."""
    if getattr(job.attack, "on_own_model", False):
        return
    device = device_of(job.model)
    job.search, note = search_copy(job.model, job.batch.images[:2].to(device), clean[:2].to(device))
    job.notes += [note] if note else []


def in_chunks(job: Job, rows: Rows, work: Callable[[Rows], T]) -> Iterator[tuple[Rows, T]]:
    """Work on the rows in chunks; halves the batch size when memory runs out."""
    start = 0
    while start < len(rows):
        part = rows[start : start + job.batch_size]
        try:
            found = work(part)
        except RuntimeError as error:
            if not out_of_memory(error) or len(part) == 1:
                raise
            job.batch_size = max(1, len(part) // 2)
            job.notes.append(f"out of memory with {len(part)} images; went on with {job.batch_size}")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield part, found
        start += len(part)


def strike(
    job: Job, budget: Budget, rows: Rows, *, restart: int = 0, means: Means | None = None
) -> tuple[Measured, Cost]:
    """One attack on some rows, refused or measured; ``means`` instead of the job's own."""
    attack, own = means or (job.attack, job.own)
    ids = [job.batch.ids[i] for i in rows]
    given = given_rows(job, rows)
    target = job.target(given)
    purpose = f"{job.name}|{budget.text}" + (f"|{restart}" if restart else "")
    attempt = attack(target, given, budget, rng=ImageRandom(job.seed, ids, purpose), **own)
    given = given_rows(job, rows)  # anew: the attack may have written on what it was handed
    attacked = attempt.images.detach()
    refuse_breach(given.images, attacked, budget=budget, eps=job.eps(budget), who=(job.name, ids))
    attacked = delivered(attacked, given, budget, target=target)
    shown, score = (given.images, given.targets), job.score(given)
    found = measure(job.model, shown, attacked, budget=budget, pixels=job.pixels, score=score)
    job.heed(ids, target)
    job.notes += attempt.notes
    return found, Cost(target.gradient_evaluations, target.model_evaluations)


def given_rows(job: Job, rows: Rows) -> Batch:
    """A copy of some images and targets on the model's device."""
    device = device_of(job.model)
    region = None if job.batch.region is None else job.batch.region[list(rows)].to(device)
    return Batch(job.batch.images[list(rows)].to(device), job.batch.targets[list(rows)].to(device), region)


def outcome_rows(job: Job, budget: Budget, held: Measured, *, clean: Tensor, at: tuple[Cost, Tensor]) -> list[Outcome]:
    """One outcome per image of the batch."""
    (cost, carried), task, batch = at, job.model.task, job.batch
    right = is_right(clean, batch.targets, task)
    before, after = decide(clean, task), decide(held.logits, task)
    sure, sure_after = confidence(clean, task), confidence(held.logits, task)
    change = held.images - batch.images
    sizes = {norm: distance(norm, change).tolist() for norm in (Norm.LINF, Norm.L2, Norm.L1, Norm.L0)}
    return [
        Outcome(
            id=batch.ids[i],
            group=batch.groups[i] or "",
            label=_text(batch.targets[i]),
            clean_prediction=_text(before[i]),
            clean_confidence=float(sure[i]),
            correct=bool(right[i]),
            attack=job.name,
            norm=budget.norm.value,
            budget=budget.text,
            eps=budget.eps(batch.images.shape[1:], batch.range),
            success=bool(right[i] & held.success[i]),
            success_stored=bool(right[i] & held.success_stored[i]),
            **{norm.value: value[i] for norm, value in sizes.items()},
            confidence=float(sure_after[i]),
            prediction=_text(after[i]),
            margin=float(held.margin[i]),
            gradient_evaluations=int(cost.gradients[i]),
            model_evaluations=int(cost.forwards[i]),
            carried=bool(carried[i]),
        )
        for i in range(len(batch.ids))
    ]


def _text(decision: Tensor) -> str:
    """A class index, the 0/1 labels in a row, or the classes of a map."""
    if decision.dim() == 2:
        return dense.text(decision)
    return "".join(str(int(value)) for value in decision.flatten().tolist())
