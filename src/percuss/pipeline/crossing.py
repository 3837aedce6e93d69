"""The units of a transfer matrix: a clean pass of a portion, and one attack made on one model and judged on all."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from percuss.attacks.engine import run_attack
from percuss.attacks.eval_mode import frozen
from percuss.attacks.job import Swept
from percuss.core import catalogue
from percuss.core.budget import Budget
from percuss.core.images import Tensors
from percuss.core.model import Model, is_right
from percuss.core.transfer import NOISE
from percuss.pipeline import heat
from percuss.pipeline.inputs import Chosen, read_chunk
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.progress import Progress
from percuss.store.folder import RunFolder

#: Columns of rows of heat maps: float16 logits of every cell as bytes, on the float image and as stored.
SCORES = ("scores", "scores_stored")


@dataclass
class Crossing:
    """A matrix at work: the plan, the images, the models by name on their device, and the run folder."""

    plan: AuditPlan
    chosen: Chosen
    models: dict[str, Model]
    device: torch.device
    folder: RunFolder
    read: dict[tuple[str, ...], Tensors] = field(default_factory=dict)

    def budgets(self) -> list[Budget]:
        """All budgets, norm by norm."""
        return [budget for sizes in self.plan.by_norm().values() for budget in sizes]

    def batch(self, ids: tuple[str, ...]) -> Tensors:
        """The images of a portion; only the last portion is held."""
        if ids not in self.read:
            self.read.clear()
            self.read[ids] = read_chunk(self.chosen, ids)
        return self.read[ids]

    def part(self, kind: str, ids: Sequence[str], *what: str) -> str:
        """Name of a part: a hash of the run's identity and of what the part computes."""
        text = json.dumps([self.folder.manifest["identity"], kind, list(ids), what])
        return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def cross(work: Crossing, say: Progress) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows, ordered by attack, budget, source, target and image, and the clean table."""
    attacks = [*work.plan.attacks, NOISE]
    units = [
        (ids, attack, budget, name)
        for ids in work.chosen.chunks
        for attack in attacks
        for budget in work.budgets()
        for name, model in work.models.items()
        if fits(attack, model)
    ]
    say.line(f"{len(work.models)} models, {len(work.chosen.ids)} images: {len(units)} units of work")
    clean = [_clean(work, ids) for ids in work.chosen.chunks]
    right = {part_ids: table for part_ids, table in zip(work.chosen.chunks, clean, strict=True)}
    say.start("attacks", len(units))
    parts = []
    for ids, attack, budget, name in units:
        if len(right[ids]):
            parts.append(_unit(work, right[ids], ids, (attack, budget, name)))
        say.advance()
    say.stop()
    rows = _ordered(work, pd.concat(parts, ignore_index=True), attacks)
    return rows, pd.concat([part for part in clean if len(part)], ignore_index=True)


def fits(attack: str, model: Model) -> bool:
    """Whether an attack can be made on a model: some need a network with a code of the image (``NEEDS``)."""
    needs = getattr(sys.modules[catalogue.function("attacks", attack).__module__], "NEEDS", None)
    return needs is None or isinstance(model.network, needs)


def _ordered(work: Crossing, rows: pd.DataFrame, attacks: list[str]) -> pd.DataFrame:
    order = [attacks, [b.text for b in work.budgets()], [*work.models, NOISE], list(work.models), list(work.chosen.ids)]
    names = ["attack", "budget", "source", "target", "id"]
    places = pd.DataFrame(
        {name: rows[name].map({v: i for i, v in enumerate(values)}) for name, values in zip(names, order, strict=True)}
    )
    return rows.loc[places.sort_values(names, kind="stable").index].reset_index(drop=True)


def _clean(work: Crossing, ids: tuple[str, ...]) -> pd.DataFrame:
    """One row per image that can be read: id, group, and for each model (by number) whether it is right.

    Of heat maps also ``shape`` and ``truth``, and the scores of each model.
    """
    key = work.part("clean", ids)
    found = work.folder.read_part(key)
    if found is not None:
        return found
    batch = work.batch(ids)
    table: dict[str, Any] = {"id": batch.ids, "group": [group or "" for group in batch.groups]}
    for number, model in enumerate(work.models.values()):
        table[f"correct_{number}"], cells = _verdict(work, model, batch.images, batch.targets)
        table |= {name: [row[name] for row in cells] for name in ("shape", "truth") if cells}
        table |= {f"scores_{number}": [row["scores"] for row in cells]} if cells else {}
    found = pd.DataFrame(table)
    found.attrs = {"bad": [{"id": item.id, "reason": item.reason} for item in batch.bad]}
    work.folder.write_table(f"parts/{key}.parquet", found)
    return found


def _verdict(work: Crossing, model: Model, images: Tensor, targets: Tensor) -> tuple[list[bool], list[dict[str, Any]]]:
    """Whether each image is right, and of heat maps what is kept of their cells (``heat.columns``)."""
    with torch.inference_mode(), frozen(model):
        parts = [model(part.to(work.device)).cpu() for part in torch.split(images, work.plan.batch_size) if len(part)]
    if not parts:
        return [], []
    logits = torch.cat(parts)
    right = [bool(flag) for flag in is_right(logits, targets, model.task)]
    return right, heat.columns(logits, targets) if model.task == "heatmap" else []


def _unit(work: Crossing, clean: pd.DataFrame, ids: tuple[str, ...], what: tuple[str, Budget, str]) -> pd.DataFrame:
    """One attack within one budget made on one model, judged on all (noise: on that one)."""
    attack, budget, name = what
    key = work.part("made", ids, attack, budget.text, name)
    found = work.folder.read_part(key)
    if found is not None:
        return found
    batch, noise = work.batch(ids), attack == NOISE
    settings = {"early_stop": False, **({"draws": 1} if noise else work.plan.attack_settings(attack))}
    # Each budget by itself and to its end: what flips the source at a smaller size is too weak a probe of another.
    swept = run_attack(
        attack,
        work.models[name],
        batch,
        [budget],
        seed=work.plan.seed,
        batch_size=work.plan.batch_size,
        settings=settings,
        allow_silent=True,
    )
    tables = _judged(work, clean, swept, batch, what)
    found = pd.concat(tables, ignore_index=True)
    work.folder.write_table(f"parts/{key}.parquet", found)
    return found


def _judged(
    work: Crossing, clean: pd.DataFrame, swept: Swept, batch: Tensors, what: tuple[str, Budget, str]
) -> list[pd.DataFrame]:
    """Rows of what was made, one table per model it is judged on."""
    attack, budget, name = what
    noise, tables = attack == NOISE, []
    success = np.array([row.success for row in swept.outcomes], dtype=bool)
    pictures = swept.images[budget.text], swept.stored[budget.text]
    source_right = clean[f"correct_{list(work.models).index(name)}"].to_numpy(dtype=bool)
    for number, (target, model) in enumerate(work.models.items()):
        if noise and target != name:
            continue
        right = clean[f"correct_{number}"].to_numpy(dtype=bool)
        verdicts = [_verdict(work, model, held, batch.targets) for held in pictures]
        flips = [~np.array(found, dtype=bool) for found, _ in verdicts]
        columns = {
            "id": batch.ids,
            "group": clean["group"],
            "attack": attack,
            "norm": budget.norm.value,
            "budget": budget.text,
            "eps": budget.eps(batch.images.shape[1:], batch.range),
            "source": NOISE if noise else name,
            "target": target,
            "correct_source": source_right,
            "correct_target": right,
            "success_source": success,
            "success": flips[0] & right & source_right,
            "success_stored": flips[1] & right & source_right,
        }
        for column, (_, cells) in zip(SCORES, verdicts, strict=True):
            columns |= {column: [row["scores"] for row in cells]} if cells else {}
        tables.append(pd.DataFrame(columns))
    return tables
