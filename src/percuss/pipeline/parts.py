"""The units of an audit: the clean pass of a portion of images, and one attack of one norm on it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from percuss.attacks.engine import run_attack
from percuss.attacks.job import Swept
from percuss.core import catalogue, dense
from percuss.core.budget import Budget, Norm
from percuss.core.errors import RunError
from percuss.core.images import DENSE, BadImage, Tensors
from percuss.core.model import Model, confidence, decide, is_right, wide_logits
from percuss.core.outcome import Outcome, frame
from percuss.pipeline import heat, masks
from percuss.pipeline.inputs import Chosen, read_chunk
from percuss.pipeline.plan import AuditPlan
from percuss.store.folder import RunFolder
from percuss.store.png import encode, slug


@dataclass(frozen=True)
class Work:
    """What every unit needs: the plan, the images, the model on its device, and the run folder."""

    plan: AuditPlan
    chosen: Chosen
    model: Model
    device: torch.device
    folder: RunFolder

    def budgets(self, norm: Norm) -> list[Budget]:
        """Budgets of a norm, smallest first for these images."""
        found = self.plan.by_norm()[norm]
        return sorted(found, key=lambda budget: budget.eps(self.chosen.shape, self.chosen.pixels))

    def settings(self, attack: str) -> dict[str, Any]:
        """Settings of an attack. On masks it goes on when one is wrong, since a mask can always get worse."""
        found = self.plan.attack_settings(attack)
        return {"early_stop": False, **found} if self.model.task in DENSE else found

    def part(self, key: str) -> pd.DataFrame | None:
        """A finished part; None where it, or what is counted of its masks, must be computed (again)."""
        found = self.folder.read_part(key)
        if found is None or self.model.task not in DENSE or not len(found):
            return found
        scored = self.model.task == "heatmap" and "attack" in found
        if scored and not heat.has_meaning(self.folder, key, found):
            return None
        return None if self.folder.read_part(f"{key}{masks.BESIDE}") is None else found

    def key(self, kind: str, ids: Sequence[str], **what: Any) -> str:
        """Name of a part: a hash of the run's identity and of what the part computes."""
        text = json.dumps([self.folder.manifest["identity"], kind, list(ids), what], sort_keys=True)
        return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


@dataclass(frozen=True)
class Unit:
    """One attack of one norm on one portion of the images."""

    ids: tuple[str, ...]
    norm: Norm
    attack: str


class Portion:
    """The images of one portion, read only when a unit needs them, and its clean pass."""

    def __init__(self, work: Work, ids: tuple[str, ...]) -> None:
        self.work, self.ids = work, ids
        self._tensors: Tensors | None = None
        key = work.key("clean", ids)
        found = work.part(key)
        self.new = found is None
        self.clean: pd.DataFrame = self._clean_pass(key) if found is None else found

    @property
    def bad(self) -> list[BadImage]:
        """Images that could not be used."""
        return [BadImage(**item) for item in self.clean.attrs["bad"]]

    @property
    def noted(self) -> dict[str, list[str]]:
        """Ids of the images by what they are noted for."""
        return dict(self.clean.attrs.get("noted", {}))

    @property
    def units(self) -> list[Unit]:
        """The attacks still to run on it, norms in the plan's order."""
        plan = self.work.plan
        if not len(self.clean):
            return []
        return [Unit(self.ids, norm, attack) for norm in plan.by_norm() for attack in plan.attacks]

    def tensors(self) -> Tensors:
        """The images; RunError where other images can be read now than in the clean pass."""
        if self._tensors is None:
            self._tensors = read_chunk(self.work.chosen, self.ids)
            if "id" in getattr(self, "clean", ()) and self._tensors.ids != list(self.clean["id"]):
                raise RunError("the images changed during the run", next_step="start anew in another folder")
        return self._tensors

    def forget(self) -> None:
        """Let go of the images; they are read again when needed."""
        self._tensors = None

    def _clean_pass(self, key: str) -> pd.DataFrame:
        begun, work, batch = time.monotonic(), self.work, self.tensors()
        logits = clean_logits(work, batch.images)
        for name, image in zip(batch.ids, batch.images, strict=True):
            work.folder.write(f"images/original/{slug(name)}.png", encode(image, batch.range))
        if work.model.task in DENSE and batch.ids:
            masks.clean_part(work.folder, key, batch, logits=logits)
        found = clean_table(work.model, batch, logits)
        found.attrs = {
            "key": key,
            "bad": [{"id": item.id, "reason": item.reason} for item in batch.bad],
            "noted": batch.notes,
            "seconds": time.monotonic() - begun,
        }
        work.folder.write_table(f"parts/{key}.parquet", found)
        return found


def clean_logits(work: Work, images: Tensor) -> Tensor:
    """Logits ``[N, outputs]`` on the CPU, in batches."""
    found = [torch.zeros(0, work.model.outputs[0])]
    with torch.inference_mode():
        found += [
            work.model(part.to(work.device)).cpu() for part in torch.split(images, work.plan.batch_size) if len(part)
        ]
    return torch.cat(found[1:] or found)


def clean_table(model: Model, batch: Tensors, logits: Tensor) -> pd.DataFrame:
    """clean.parquet: id, group, label, prediction, confidence, correct and a score per class; of masks the quality."""
    table: dict[str, list[Any]] = {
        "id": batch.ids,
        "group": [group or "" for group in batch.groups],
        "label": texts(batch.targets),
        "prediction": texts(decide(logits, model.task)),
        "confidence": confidence(logits, model.task).tolist() if len(logits) else [],
        "correct": is_right(logits, batch.targets, model.task).tolist() if len(logits) else [],
    }
    count = len(model.classes)
    if model.task in DENSE:
        found = dense.quality(decide(logits, model.task), batch.targets, count).tolist() if len(logits) else []
        return pd.DataFrame(table | {"quality": found})
    wide = wide_logits(logits) if model.task == "classify" else logits
    return pd.DataFrame(table | {f"score_{k}": wide[:, k].tolist() if len(logits) else [] for k in range(count)})


def texts(decisions: Tensor) -> list[str]:
    """Class indices, 0/1 labels in a row, or the classes of a map, as text."""
    if decisions.dim() == 3:
        return [dense.text(row) for row in decisions]
    return ["".join(str(int(bit)) for bit in row.flatten().tolist()) for row in decisions]


def attack_part(portion: Portion, unit: Unit) -> tuple[pd.DataFrame, bool]:
    """Rows of one unit, computed now or read back; whether they were computed now."""
    work = portion.work
    budgets, settings = work.budgets(unit.norm), work.settings(unit.attack)
    what = {"attack": unit.attack, "settings": settings, "budgets": [budget.text for budget in budgets]}
    key = work.key("attack", unit.ids, **what)
    found = work.part(key)
    if found is not None:
        return found, False
    begun = time.monotonic()
    batch = _aimed(portion)
    swept = run_attack(
        catalogue.function("attacks", unit.attack, allow_code=work.plan.allow_code),
        work.model,
        batch,
        budgets,
        seed=work.plan.seed,
        batch_size=work.plan.batch_size,
        settings=settings,
        allow_silent=True,  # the whole run decides (context.silence), not one portion
    )
    outcomes, maps = swept.outcomes, work.model.task in DENSE
    if maps and work.plan.protocol == "paper":
        outcomes = masks.against_truth(swept, portion.tensors(), judge=lambda images: clean_logits(work, images))
    rows = _with_images(_scored(outcomes, portion), swept, portion, key)
    if maps:
        whole = portion.tensors()
        masks.attack_part(
            work.folder, key, whole, swept=swept, rows=rows, judge=lambda images: clean_logits(work, images)
        )
        if whole.scored:
            heat.meaning_part(work.folder, key, whole, swept=swept, rows=rows)
    table = frame(rows)
    heard = {"key": key, "notes": list(swept.notes), "silent": swept.silent, "queried": swept.queried}
    table.attrs = heard | {"seconds": time.monotonic() - begun}
    work.folder.write_table(f"parts/{key}.parquet", table)
    return table, True


def _aimed(portion: Portion) -> Tensors:
    """The images with the labels that the attack turns away from: the true ones, or by the paper's protocol its own."""
    batch = portion.tensors()
    if portion.work.plan.protocol != "paper":
        return batch
    if portion.work.model.task in DENSE:
        own = decide(clean_logits(portion.work, batch.images), "segment").to(torch.uint8)
        return replace(batch, targets=own.masked_fill(batch.targets == dense.IGNORE, dense.IGNORE))
    said = [str(text) for text in portion.clean["prediction"]]
    if portion.work.model.task == "classify":
        return replace(batch, targets=torch.tensor([int(text) for text in said], dtype=torch.long))
    return replace(batch, targets=torch.tensor([[float(bit) for bit in text] for text in said]))


def _scored(rows: list[Outcome], portion: Portion) -> list[Outcome]:
    """Rows scored by the clean pass: its labels and decisions hold, and what it had wrong never counts as flipped.

    The attack saw other labels by the paper's protocol, and other decisions where the model is not deterministic.
    """
    clean = portion.clean.set_index("id")
    sure = dict(zip(clean.index, clean["confidence"].tolist(), strict=True))
    found = []
    for row in rows:
        right = bool(clean.at[row.id, "correct"])
        found.append(
            replace(
                row,
                label=str(clean.at[row.id, "label"]),
                clean_prediction=str(clean.at[row.id, "prediction"]),
                clean_confidence=float(sure[row.id]),
                correct=right,
                success=row.success and right,
                success_stored=row.success_stored and right,
            )
        )
    return found


def _with_images(rows: list[Outcome], swept: Swept, portion: Portion, key: str) -> list[Outcome]:
    """The rows; each image's smallest flip (else its strongest attempt) is kept as the file it would be."""
    batch, maps = portion.tensors(), portion.work.model.task in DENSE
    order = _furthest if batch.scored else rank
    best: dict[str, Outcome] = {}
    for row in rows:
        # The controls of noise are no attack, and what was wrong before cannot flip: neither is kept. A map that was
        # below the bar before can still become worse.
        fits = (row.correct or maps) and "noise" not in row.attack
        if fits and (row.id not in best or order(row) < order(best[row.id])):
            best[row.id] = row
    found = []
    for row in rows:
        if best.get(row.id) is row:
            name = f"parts/{key}/{slug(row.id)}.png"
            picture = swept.stored[row.budget][batch.ids.index(row.id)]
            digest = portion.work.folder.write(name, encode(picture, batch.range))
            row = replace(row, image=name, image_sha256=digest)  # noqa: PLW2901
        found.append(row)
    return found


def _furthest(row: Outcome) -> tuple[int, float]:
    """Of heat maps, which have no moment of flipping, the largest attempt."""
    return 0, -row.eps


def rank(row: Outcome) -> tuple[int, float]:
    """Order of what to keep: smallest stored flip, smallest float flip, largest attempt."""
    if row.success_stored:
        return 0, row.eps
    return (1, row.eps) if row.success else (2, -row.eps)
