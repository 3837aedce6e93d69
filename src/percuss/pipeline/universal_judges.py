"""One change judged beyond the model it was made on: by other models, and beside changes made with other seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.core.universal import Spread, Tally
from percuss.evaluate.universal import spreads, tallies
from percuss.pipeline.inputs import Chosen
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.several import Given, check_several, open_several
from percuss.pipeline.universal_units import Search, clean_part, judge_part


@dataclass(frozen=True)
class Beside:
    """What is known of a change beyond its own model: counts by judge, and the spread over seeds (the first its own).

    Attributes:
        judges: the other models by name.
        tallies: what the change does to each of them, by its name.
        seeds: the other seeds and what their own changes do to the model.
    """

    judges: dict[str, Model] = field(default_factory=dict)
    tallies: dict[str, tuple[Tally, ...]] = field(default_factory=dict)
    seeds: dict[int, tuple[Tally, ...]] = field(default_factory=dict)

    def spread(self, own: Sequence[Tally]) -> list[Spread]:
        """Mean and deviation over the seeds, this change's among them; empty where there is one seed."""
        return spreads([own, *self.seeds.values()]) if self.seeds else []


def open_judges(others: Sequence[Given], *, model: Model, plan: AuditPlan, chosen: Chosen) -> dict[str, Model]:
    """The other models by name; ModelError or DataError where classes differ, or two are the same."""
    if not others:
        return {}
    made = [plan, *(plan.model_copy(update={"model": _spec(other), "weights": None}) for other in others)]
    opened = open_several(made, [model, *others], chosen)
    return dict([*opened.items()][1:])


def _spec(other: Given) -> str:
    if isinstance(other, Model):
        return other.info.spec
    return "module" if isinstance(other, nn.Module) else str(other)


def check_judges(judges: dict[str, Model], chosen: Chosen, device: torch.device) -> list[Finding]:
    """The check of each judge on a few images."""
    return check_several(judges, chosen, device) if judges else []


def judge_others(
    work: Search, judges: dict[str, Model], *, change: Tensor, say: Progress
) -> dict[str, tuple[Tally, ...]]:
    """What the change does to each judge on both splits, counted as for the model it was made on.

    Each counts the images that it has right itself; a judge that is wrong without the change is not flipped by it.
    """
    found = {}
    for name, model in judges.items():
        say.line(f"judged by {name}")
        other, rows = replace(work, model=model.to(work.device), judge=name), []
        for split, chosen in work.sets.items():
            clean = [clean_part(other, split, ids) for ids in chosen.chunks]
            rows += [judge_part(other, split, part, change=change) for part in clean if len(part)]
        data = work.train.images
        found[name] = tuple(tallies(pd.concat(rows, ignore_index=True), data.classes, data.task, seed=work.seed))
    return found


def plain(beside: Beside, own: Sequence[Tally], write: Callable[[Tally], dict[str, Any]]) -> dict[str, Any]:
    """The entries of results.json: ``judges``, ``transfer`` (a record per judge, split and class), ``spread``."""
    return {
        "judges": [
            {"name": name, "spec": model.info.spec, "weights": model.info.weights, "sha256": model.fingerprint()}
            for name, model in beside.judges.items()
        ],
        "transfer": [{"judge": name, **write(item)} for name, found in beside.tallies.items() for item in found],
        "other_seeds": [{"seed": seed, **write(item)} for seed, found in beside.seeds.items() for item in found],
        "spread": [vars(item) for item in beside.spread(own)],
    }
