"""Runs any attack over images and budgets, re-measures every image, and makes one row of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from percuss.attacks.eval_mode import device_of, frozen
from percuss.attacks.fast import TOLERANCE, search_copy
from percuss.attacks.measured import Measured, measure, refuse_breach
from percuss.attacks.target import Batch, Goal, Target, no_gradient
from percuss.core import catalogue
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError, ModelError, nearest
from percuss.core.images import PixelRange, Tensors
from percuss.core.losses import margin
from percuss.core.model import Model, confidence, decide, is_right, out_of_memory
from percuss.core.norms import distance
from percuss.core.outcome import Outcome
from percuss.core.seeds import ImageRandom

Rows = Sequence[int]
T = TypeVar("T")


@dataclass
class Swept:
    """What a sweep gives: one outcome per budget and image (budgets in order), images by budget text, notes.

    ``silent`` names the images on which a gradient was asked for and was zero every time.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    images: dict[str, Tensor] = field(default_factory=dict)
    stored: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


@dataclass
class Job:
    """One sweep at work: the attack with its settings, what it attacks, and the batch size that fits."""

    name: str
    attack: Callable[..., Any]
    model: Model
    batch: Tensors
    goal: Goal
    own: dict[str, Any]
    seed: int
    batch_size: int
    notes: list[str] = field(default_factory=list)
    search: Model | None = None
    asked: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)

    @property
    def pixels(self) -> PixelRange | None:
        """Native range of the images."""
        return self.batch.range


@dataclass
class Cost:
    """Gradients and forward passes the attack asked for, per image."""

    gradients: Tensor
    forwards: Tensor


def run_attack(  # noqa: PLR0913
    name: str | Callable[..., Any],
    model: Model,
    batch: Tensors,
    budgets: Sequence[Budget],
    *,
    seed: int = 0,
    batch_size: int = 32,
    settings: dict[str, Any] | None = None,
    allow_silent: bool = False,
) -> Swept:
    """Attack every rightly decided image within each budget, smallest first.

    Args:
        name: an attack of the catalogue, or the function of one.
        model: attacked in eval mode with frozen parameters; both are put back afterwards.
        batch: images, targets, ids and native range.
        budgets: sizes of one norm, ascending. What flips an image as float and as stored is carried to the next.
        seed: with id, attack and budget it decides all randomness: batch size and mates do not matter.
        batch_size: halved, with a note, when memory runs out.
        settings: of the attack (its keyword arguments) and of every attack (``Goal``).
        allow_silent: whether the gradients of all images may be zero; they are then listed in ``silent`` only.

    Raises:
        AttackError: unknown attack setting; an attack that leaves budget or range.
        ModelError: logits not finite or of the wrong shape; no gradient reaches the input.
    """
    attack = catalogue.function("attacks", name) if isinstance(name, str) else name
    name = attack.__name__ if not isinstance(name, str) else name
    goal, own = split_settings(name, attack, settings or {})
    _check_budgets(budgets, batch_size)
    job = Job(name, attack, model, batch, goal, own, seed, batch_size)
    with frozen(model):
        clean = _clean(job)
        _choose_search(job, clean)
        swept = Swept(notes=job.notes)
        held = _untouched(batch, clean, model)
        for budget in sorted(budgets, key=lambda b: b.eps(batch.images.shape[1:], batch.range)):
            cost, carried = _sweep(job, budget, held, clean)
            swept.outcomes += _rows(job, budget, held, clean, (cost, carried))
            swept.images[budget.text], swept.stored[budget.text] = held.images.clone(), held.stored.clone()
            if job.asked and not job.heard and not allow_silent:
                raise no_gradient()
    swept.silent = sorted(job.asked - job.heard)
    return swept


def split_settings(name: str, attack: Callable[..., Any], settings: dict[str, Any]) -> tuple[Goal, dict[str, Any]]:
    """Settings of every attack as a Goal, the attack's own as keywords; AttackError for unknown ones."""
    shared = {item.name for item in fields(Goal)}
    own = {
        key
        for key, item in inspect.signature(attack).parameters.items()
        if item.kind is inspect.Parameter.KEYWORD_ONLY and key != "rng"
    }
    for key in settings:
        if key not in shared | own:
            raise AttackError(f"the attack {name} has no setting {key}", allowed=nearest(key, shared | own))
    goal = Goal(**{key: value for key, value in settings.items() if key in shared})
    return goal, {key: value for key, value in settings.items() if key in own}


def _check_budgets(budgets: Sequence[Budget], batch_size: int) -> None:
    if len({budget.norm for budget in budgets}) != 1:
        raise AttackError("a sweep takes budgets of one norm", value=", ".join(map(str, budgets)) or "none given")
    if batch_size < 1:
        raise AttackError("the batch size is too small", value=batch_size, allowed="1 or more")


def _clean(job: Job) -> Tensor:
    """Logits of the clean images, on the CPU."""

    def forward(rows: Rows) -> Tensor:
        with torch.no_grad():
            logits: Tensor = job.model(job.batch.images[list(rows)].to(device_of(job.model)))
        return logits.cpu()

    parts = [part for _, part in _in_chunks(job, range(len(job.batch.ids)), forward)]
    logits = torch.cat(parts) if parts else torch.zeros(0, job.model.outputs[0])
    bad = (~torch.isfinite(logits)).any(1).nonzero().flatten().tolist()
    if bad:
        raise ModelError(
            "the model's logits hold NaN or infinity",
            value=f"{len(bad)} of {len(logits)} clean images, first {job.batch.ids[bad[0]]}",
            allowed="finite logits",
            next_step="look at the weights and the range of the input",
        )
    return logits


def _choose_search(job: Job, clean: Tensor) -> None:
    device = device_of(job.model)
    job.search, note = search_copy(job.model, job.batch.images[:2].to(device), clean[:2].to(device))
    job.notes += [note] if note else []


def _in_chunks(job: Job, rows: Rows, work: Callable[[Rows], T]) -> Iterator[tuple[Rows, T]]:
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


def _untouched(batch: Tensors, clean: Tensor, model: Model) -> Measured:
    wrong = ~is_right(clean, batch.targets, model.task)
    lead = margin(clean, batch.targets, model.task)
    return Measured(batch.images.clone(), batch.images.clone(), clean.clone(), wrong, wrong.clone(), lead)


def _sweep(job: Job, budget: Budget, held: Measured, clean: Tensor) -> tuple[Cost, Tensor]:
    """Attack what does not yet flip, take what is better; cost, and which rows come from a smaller budget."""
    count = len(job.batch.ids)
    cost = Cost(torch.zeros(count, dtype=torch.long), torch.zeros(count, dtype=torch.long))
    right = is_right(clean, job.batch.targets, job.model.task)
    before = (held.success | held.success_stored) & right
    pending = (right & ~(held.success & held.success_stored)).nonzero().flatten().tolist()
    fresh = torch.zeros(count, dtype=torch.bool)
    for restart in range(job.goal.restarts):
        for part, (found, spent) in _in_chunks(job, pending, lambda rows: _strike(job, budget, rows, restart)):  # noqa: B023
            rows = torch.tensor(part)
            better = held.improved_by(rows, found)
            held.replace(rows, found, better)
            fresh[rows[better]] = True
            cost.gradients[rows] += spent.gradients
            cost.forwards[rows] += spent.forwards
        pending = [i for i in pending if not (held.success[i] and held.success_stored[i])]
    return cost, before & ~fresh


def _strike(job: Job, budget: Budget, rows: Rows, restart: int) -> tuple[Measured, Cost]:
    """One attack on some rows, refused or measured."""
    ids = [job.batch.ids[i] for i in rows]
    given = _given(job, rows)
    search = job.search or job.model
    slack = 0.0 if search is job.model else 2 * TOLERANCE
    target = Target(search, given, job.goal, pixels=job.pixels, slack=slack)
    purpose = f"{job.name}|{budget.text}" + (f"|{restart}" if restart else "")
    attempt = job.attack(target, given, budget, rng=ImageRandom(job.seed, ids, purpose), **job.own)
    given = _given(job, rows)  # anew: the attack may have written on what it was handed
    eps = budget.eps(given.images.shape[1:], job.pixels)
    attacked = attempt.images.detach()
    refuse_breach(given.images, attacked, budget=budget, eps=eps, who=(job.name, ids))
    found = measure(job.model, (given.images, given.targets), attacked, budget=budget, pixels=job.pixels)
    job.asked |= {name for name, count in zip(ids, target.gradient_evaluations.tolist(), strict=True) if count}
    job.heard |= {name for name, seen in zip(ids, target.saw_gradient.tolist(), strict=True) if seen}
    return found, Cost(target.gradient_evaluations, target.model_evaluations)


def _given(job: Job, rows: Rows) -> Batch:
    """A copy of some images and targets on the model's device."""
    device = device_of(job.model)
    return Batch(job.batch.images[list(rows)].to(device), job.batch.targets[list(rows)].to(device))


def _rows(job: Job, budget: Budget, held: Measured, clean: Tensor, at: tuple[Cost, Tensor]) -> list[Outcome]:
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
    """A class index, or the 0/1 labels in a row."""
    return "".join(str(int(value)) for value in decision.flatten().tolist())
