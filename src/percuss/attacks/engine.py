"""Runs any attack over images and budgets, re-measures every image, and makes one row of each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, get_args

import torch
from torch import Tensor

from percuss.attacks.at_once import AT_ONCE, all_sizes, settle
from percuss.attacks.codes import without
from percuss.attacks.eval_mode import frozen
from percuss.attacks.job import Cost, Job, Swept, choose_search, clean_logits, in_chunks, outcome_rows, strike
from percuss.attacks.measured import Measured
from percuss.attacks.target import Batch, Goal, no_gradient
from percuss.core import catalogue
from percuss.core.budget import Budget
from percuss.core.errors import AttackError, nearest
from percuss.core.images import DENSE, Task, Tensors
from percuss.core.losses import margin
from percuss.core.model import Model, is_right


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
    check_task(name, attack, model)
    goal, own = split_settings(name, attack, settings or {})
    _check_budgets(budgets, batch_size)
    job = Job(name, attack, model, batch, budgets, goal, own, seed, batch_size)
    with frozen(model):
        clean = clean_logits(job)
        choose_search(job, clean)
        swept = Swept(notes=job.notes)
        held = _untouched(job, clean)
        records = all_sizes(job, clean) if name in AT_ONCE else None
        for index, budget in enumerate(job.ordered):
            if records is None:
                cost, carried = _sweep(job, budget, held, clean)
            else:
                cost, carried = settle(job, index, held, known=(clean, records))
            swept.outcomes += outcome_rows(job, budget, held, clean=clean, at=(cost, carried))
            swept.images[budget.text], swept.stored[budget.text] = held.images.clone(), held.stored.clone()
            if job.asked and not job.heard and not allow_silent:
                raise no_gradient()
    swept.silent, swept.queried = sorted(job.asked - job.heard), sorted(job.queried)
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


def tasks_of(attack: Callable[..., Any]) -> tuple[Task, ...]:
    """The tasks that the attack's file names (``TASKS``); all of them where it names none."""
    found: tuple[Task, ...] = getattr(sys.modules.get(attack.__module__), "TASKS", get_args(Task))
    return found


def check_task(name: str, attack: Callable[..., Any], model: Model) -> None:
    """AttackError where the model's task is not among those of the attack, or it lacks what the attack ``NEEDS``."""
    tasks = tasks_of(attack)
    if model.task == "heatmap" and model.task not in tasks:
        raise AttackError(
            f"the attack {name} does not attack heat maps",
            value=f"it is for models of the task {' or '.join(tasks)}",
            next_step="pgd and apgd attack every kind; --suite codesuite is the suite for detectors with a code",
        )
    needs = getattr(sys.modules.get(attack.__module__), "NEEDS", None)
    if needs is not None and model.task in tasks and not isinstance(model.network, needs):
        raise without(model, name, needs)
    if model.task not in tasks:
        raise AttackError(
            f"the attack {name} does not attack this kind of model",
            value=model.task,
            allowed=", ".join(tasks),
            next_step="pgd and apgd attack every kind, segsuite is the suite for masks",
        )


def _check_budgets(budgets: Sequence[Budget], batch_size: int) -> None:
    if len({budget.norm for budget in budgets}) != 1:
        raise AttackError("a sweep takes budgets of one norm", value=", ".join(map(str, budgets)) or "none given")
    if batch_size < 1:
        raise AttackError("the batch size is too small", value=batch_size, allowed="1 or more")


def _untouched(job: Job, clean: Tensor) -> Measured:
    batch, model = job.batch, job.model
    score = job.score(Batch(batch.images, batch.targets, batch.region), clean)
    wrong = ~is_right(clean, batch.targets, model.task)
    lead = margin(clean, batch.targets, model.task)
    reached = None if score is None else score(clean, batch.targets)
    return Measured(batch.images.clone(), batch.images.clone(), clean.clone(), wrong, wrong.clone(), lead, reached)


def _sweep(job: Job, budget: Budget, held: Measured, clean: Tensor) -> tuple[Cost, Tensor]:
    """Attack what does not yet flip, take what is better; cost, and which rows come from a smaller budget."""
    count = len(job.batch.ids)
    cost = Cost(torch.zeros(count, dtype=torch.long), torch.zeros(count, dtype=torch.long))
    right = is_right(clean, job.batch.targets, job.model.task)
    before = (held.success | held.success_stored) & right
    # A mask can always get worse: without early stop all of them are attacked at every size.
    tireless = job.model.task in DENSE and not job.goal.early_stop
    # As published: what the last step gives counts, also where the mask got better by it.
    as_it_comes = tireless and job.goal.keep == "last"
    by_score = tireless and job.by_merit
    # An aim of the attack's own is not reached when the mask is bad: what is still right stays under attack.
    asked = list(range(count)) if tireless else right.nonzero().flatten().tolist()
    all_the_way = tireless or held.score is not None
    pending = asked if all_the_way else _left(held, asked)
    fresh = torch.zeros(count, dtype=torch.bool)
    for restart in range(job.goal.restarts):
        for part, (found, spent) in in_chunks(job, pending, lambda rows: strike(job, budget, rows, restart=restart)):  # noqa: B023
            rows = torch.tensor(part)
            alike = torch.ones_like(rows, dtype=torch.bool)
            better = alike if as_it_comes else held.improved_by(rows, found, by_score=by_score)
            held.replace(rows, found, better)
            fresh[rows[better]] = True
            cost.gradients[rows] += spent.gradients
            cost.forwards[rows] += spent.forwards
        pending = pending if all_the_way else _left(held, pending)
    return cost, before & ~fresh


def _left(held: Measured, rows: list[int]) -> list[int]:
    """The rows that do not flip both as float and as stored."""
    return [i for i in rows if not (held.success[i] and held.success_stored[i])]
