"""The smallest change that alters each image's own decision: no label is asked, so that new images can be judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from percuss.attacks.at_once import AT_ONCE
from percuss.attacks.engine import run_attack
from percuss.attacks.eval_mode import device_of, frozen
from percuss.attacks.job import Swept
from percuss.core.budget import Budget, Norm, parse_budgets
from percuss.core.errors import UsageError, nearest
from percuss.core.images import Task, Tensors
from percuss.core.model import Model, confidence, decide, is_right, wide_logits
from percuss.core.outcome import Outcome
from percuss.pipeline.inputs import Chosen, check_sizes
from percuss.pipeline.parts import Work, clean_logits, texts
from percuss.pipeline.plan import AuditPlan

Sizes = NDArray[np.float64]
_COUNT, _SPAN = 33, 256
_HALVINGS = 12
#: Columns of a table of sensitivities; ``sensitivity`` is null where the image is censored.
COLUMNS = ("id", "group", "label", "prediction", "confidence", "log_odds", "correct", "sensitivity")


@dataclass(frozen=True)
class Probe:
    """How sensitivity is searched: the attack with its settings, and ascending sizes of one norm, at least two."""

    attack: str
    settings: dict[str, Any]
    sizes: tuple[Budget, ...]


@dataclass(frozen=True)
class SearchOptions:
    """What is asked of the search.

    Attributes:
        norm: None for the first norm of the run that has sizes.
        sizes: ``FROM:TO:NUMBER`` or a list, as in a budget; None for 33 in equal ratios up to the run's largest.
        attack, effort: ``curve`` searches all sizes at once; any other attack is bisected.
        limit: at most so many calibration images, each class with its share.
    """

    norm: str | None = None
    sizes: str | None = None
    attack: str = "curve"
    effort: str | None = None
    limit: int | None = None


def make_probe(plan: AuditPlan, chosen: Chosen, wanted: SearchOptions) -> Probe:
    """The search for a run: its norms and largest sizes are the default.

    Raises:
        PercussError: a norm, size, attack or effort that cannot be used; a single size.
    """
    name = _norm(plan, wanted.norm)
    if wanted.sizes is None:
        budgets = _usual(plan, chosen, name)
    else:
        budgets = parse_budgets(f"{name}={wanted.sizes}")
        budgets.sort(key=lambda budget: budget.eps(chosen.shape, chosen.pixels))
    check_sizes({name: budgets}, chosen)
    if len(budgets) < 2:
        raise UsageError(
            "a single size cannot tell which images are more sensitive",
            value=", ".join(map(str, budgets)),
            allowed="two sizes or more",
            next_step="give --sizes FROM:TO:NUMBER, for instance 0.1/255:8/255:24",
        )
    attack, effort = wanted.attack, wanted.effort
    aimed = plan.model_copy(update={"effort": effort, "settings": {}, "restarts": None, "confidence": None})
    settings = aimed.attack_settings(attack)
    if effort is not None and "effort" not in settings:
        raise UsageError("the attack takes no effort", value=attack, next_step="leave --effort out, or take curve")
    return Probe(attack, settings, tuple(budgets))


def _norm(plan: AuditPlan, norm: str | None) -> Norm:
    known = [item.value for item in Norm if item is not Norm.NONE]
    if norm is not None:
        if norm not in known:
            raise UsageError("unknown norm", value=norm, allowed=nearest(norm, known))
        return Norm(norm)
    sized = [item for item in plan.by_norm() if item is not Norm.NONE]
    if not sized:
        raise UsageError(
            "the run has no norm with sizes", value=", ".join(plan.budgets), next_step="give --norm and --sizes"
        )
    return sized[0]


def _usual(plan: AuditPlan, chosen: Chosen, norm: Norm) -> list[Budget]:
    found = [budget.eps(chosen.shape, chosen.pixels) for budget in plan.by_norm().get(norm, ())]
    if not found:
        raise UsageError(
            f"the run has no sizes under {norm}", value=", ".join(plan.budgets), next_step="give --sizes too"
        )
    top, least = max(found), 1 / math.prod(chosen.shape[1:]) if norm is Norm.L0 else 0.0
    written = dict.fromkeys(f"{max(top * _SPAN ** (i / (_COUNT - 1) - 1), least):.9g}" for i in range(_COUNT))
    unit = "share" if norm is Norm.L0 else "unit"
    return [Budget(norm, float(text), unit, f"{norm}={text}") for text in written]


def sensitivity_rows(work: Work, batch: Tensors, probe: Probe) -> pd.DataFrame:
    """One row per image (``COLUMNS``); ``attrs["silent"]``: images on which every gradient was zero."""
    model, logits = work.model, clean_logits(work, batch.images)
    own = decide(logits, model.task)
    # The decision made stands for the label: what is searched is a change of it, right or wrong.
    aimed = replace(batch, targets=own.to(batch.targets.dtype))
    silent: set[str] = set()
    sizes = smallest_sizes(model, aimed, probe, seed=work.plan.seed, batch_size=work.plan.batch_size, silent=silent)
    table = pd.DataFrame(
        {
            "id": batch.ids,
            "group": [group or "" for group in batch.groups],
            "label": texts(batch.targets),
            "prediction": texts(own),
            "confidence": confidence(logits, model.task).tolist(),
            "log_odds": log_odds(logits, model.task).tolist(),
            "correct": is_right(logits, batch.targets, model.task).tolist(),
            "sensitivity": [float(size) if np.isfinite(size) else None for size in sizes],
        }
    )
    table["sensitivity"] = table["sensitivity"].astype("float64")
    table.attrs = {"silent": len(silent), "bad": [{"id": item.id, "reason": item.reason} for item in batch.bad]}
    return table


def log_odds(logits: Tensor, task: Task) -> Tensor:
    """Log odds of the decision's probability (several labels: of the least sure one), float64 ``[N]``.

    The order of confidence, but never saturated at a probability of 1.
    """
    values = logits.double()
    if task == "multilabel":
        return values.abs().min(1).values
    wide = wide_logits(values)
    top = wide.max(1)
    others = wide.scatter(1, top.indices.unsqueeze(1), -torch.inf)
    return top.values - others.logsumexp(1)


def smallest_sizes(
    model: Model, batch: Tensors, probe: Probe, *, seed: int, batch_size: int, silent: set[str] | None = None
) -> Sizes:
    """The size of the smallest change found that alters each decision, infinity above the largest of the sizes.

    Args:
        model, batch: the targets are the model's own decisions.
        probe: ``curve`` and ``standard`` search all sizes at once; other attacks are bisected (``bisected``).
        seed, batch_size: results do not depend on the batch size.
        silent: gains the ids on which every gradient was zero.
    """
    options: dict[str, Any] = {"seed": seed, "batch_size": batch_size, "settings": probe.settings, "allow_silent": True}
    quiet = set() if silent is None else silent
    flips, best = batch.images.clone(), np.full(len(batch.ids), np.inf)

    def take(rows: Sequence[int], swept: Swept) -> Sizes:
        """Note the smallest flips of a sweep; the smallest of each row in it."""
        quiet.update(swept.silent)
        found = np.full(len(rows), np.inf)
        for place, row in enumerate(swept.outcomes):
            i = place % len(rows)
            found[i] = min(found[i], _size(row))
            if _size(row) < best[rows[i]]:
                best[rows[i]], flips[rows[i]] = _size(row), swept.images[row.budget][i]
        return found

    if probe.attack in AT_ONCE:
        take(range(len(best)), run_attack(probe.attack, model, batch, probe.sizes, **options))
    else:
        ends = np.array([budget.eps(batch.images.shape[1:], batch.range) for budget in probe.sizes])

        def attacked(rows: Sequence[int], size: int) -> Sizes:
            return take(rows, run_attack(probe.attack, model, batch.some(rows), [probe.sizes[size]], **options))

        bisected(attacked, len(best), ends)
    return best if probe.sizes[0].norm is Norm.L0 else best * _shortest(model, batch, flips, best, batch_size)


def _shortest(model: Model, batch: Tensors, flips: Tensor, sizes: Sizes, batch_size: int) -> Sizes:
    """Bisection on the way from each image to its flip: the share of it that still alters the decision, [0, 1].

    Attacks use their whole size, so that flips come at the sizes of the grid; this takes the grid out of the scores.
    """
    shares, device = np.ones(len(sizes)), device_of(model)
    with frozen(model), torch.no_grad():
        for rows in torch.split(torch.from_numpy(np.flatnonzero(np.isfinite(sizes))), batch_size):
            clean, far, targets = (item[rows].to(device) for item in (batch.images, flips, batch.targets))
            low, high = torch.zeros(len(rows), device=device), torch.ones(len(rows), device=device)
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                altered = ~is_right(model(torch.lerp(clean, far, middle.view(-1, 1, 1, 1))), targets, model.task)
                low, high = torch.where(altered, low, middle), torch.where(altered, middle, high)
            shares[rows.numpy()] = high.double().cpu().numpy()
    return shares


def bisected(attacked: Callable[[Sequence[int], int], Sizes], count: int, sizes: Sizes) -> Sizes:
    """Bisection for each row: the smallest change found, infinity where the largest size does not flip.

    Args:
        attacked: gives for some rows, attacked at the size of an index, the size of the change that flipped each,
            infinity where none did.
        count: rows.
        sizes: ascending. It is taken that what a size does not flip no smaller one does.
    """
    best = np.full(count, np.inf)
    low, high = np.full(count, -1), np.full(count, len(sizes))
    place = np.full(count, len(sizes) - 1)
    open_ = np.ones(count, dtype=bool)
    while open_.any():
        for size in np.unique(place[open_]):
            rows = np.flatnonzero(open_ & (place == size))
            found = attacked(rows.tolist(), int(size))
            best[rows] = np.minimum(best[rows], found)
            # A flip may be smaller than its size allowed: that size is known to flip, too.
            reached = np.searchsorted(sizes, found * (1 - 1e-6))
            high[rows] = np.where(np.isfinite(found), np.minimum(size, reached), high[rows])
            low[rows] = np.where(np.isfinite(found), low[rows], size)
        open_ &= np.isfinite(best) & (high - low > 1)
        place = (low + high) // 2
    return best


def _size(row: Outcome) -> float:
    """The measured size of a flip, at most its budget; infinity for none."""
    return min(float(getattr(row, row.norm)), row.eps) if row.success else math.inf
