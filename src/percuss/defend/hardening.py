"""What the defences share: settings of the inner attack, robust accuracy on validation, the best epoch by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from percuss.core.budget import Norm
from percuss.core.dense import BAR, quality
from percuss.core.errors import UsageError
from percuss.core.images import DENSE, Task, Tensors
from percuss.core.model import Model, decide
from percuss.core.seeds import ImageRandom
from percuss.defend.climbing import Climb, mode
from percuss.defend.heat_judging import area
from percuss.defend.recipe import Plain, to_device
from percuss.defend.records import Epoch


@dataclass(frozen=True)
class Ground:
    """Where a defence stands: the ball (``eps`` in the norm's own measure) and the seed of the training."""

    norm: Norm
    eps: float
    seed: int = 0


class Checked(BaseModel):
    """Settings of every defence.

    Attributes:
        check_steps: PGD steps on the validation images after each epoch, each of ``2.5 * eps / check_steps``.
        choose: the best epoch: the most robust on the validation images (``robust``), or of the lowest loss on them
            without attack, as plain training has it (``loss``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check_steps: int = Field(default=10, ge=1, le=1000)
    choose: Literal["robust", "loss"] = "robust"


class Inner(Checked):
    """Settings of a defence with an attack of its own inside.

    Attributes:
        step_size: length of a step in the norm's own measure; None takes the defence's own.
        batch_norm: mode of the model while it is attacked. ``eval``: running statistics, no dropout. ``train``: those
            of the attacked batch, and dropout.
    """

    step_size: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    batch_norm: Literal["eval", "train"] = "eval"


def step_length(eps: float, steps: int, given: float | None) -> float:
    """The length given, or ``1.75 * eps / steps`` and at least a quarter of eps (7 steps and more)."""
    return max(eps / 4, 1.75 * eps / steps) if given is None else given


class Hardening(Plain):
    """A defence: judged by PGD and by one step on the validation images; the best epoch is the most robust."""

    hardens = True
    name: ClassVar[str]
    #: What its models may decide.
    tasks: ClassVar[tuple[Task, ...]] = ("classify", "multilabel", "segment", "heatmap")
    settings: Checked

    def __init__(self, settings: Checked, ground: Ground) -> None:
        self.settings, self.ground = settings, ground

    def identity(self) -> str:
        """Name, ball and settings as JSON."""
        return json.dumps(self.told(), sort_keys=True)

    def check_task(self, task: Task) -> None:
        """UsageError where the defence is not for models of this task."""
        if task not in self.tasks:
            raise UsageError(
                f"the defence {self.name} is not for this task",
                value=task,
                allowed=", ".join(self.tasks),
                next_step="--defence pgd hardens every kind",
            )

    def told(self) -> dict[str, Any]:
        """Name, ball and settings, for the record."""
        ball = {"norm": self.ground.norm.value, "eps": self.ground.eps}
        return {"name": self.name, **ball, "settings": self.settings.model_dump(mode="json")}

    def judge(self, model: Model, part: Tensors, *, batch_size: int) -> dict[str, float]:
        """Accuracy that is left under PGD from a random start, and under one full step from the clean image.

        Of class maps also the mean over the images of the worst quality, ``robust_dice`` and ``one_step_dice``; an
        image counts as right where that is at least 0.5. Of heat maps each tile is judged at its highest
        cross-entropy instead, and ``robust_auc_pr`` and ``one_step_auc_pr`` are the average precision of the cells of
        all tiles together, where there are cells of both kinds.
        """
        many, one = self._checks()
        if model.task == "heatmap":
            return self._heat_judged(model, part, batch_size=batch_size)
        if model.task in DENSE:
            return self._maps_judged(model, part, batch_size=batch_size)
        robust, single = 0, 0
        with mode(model, "eval"):
            for images, targets, ids in _portions(part, batch_size, next(model.parameters()).device):
                start = many.start(images, ImageRandom(self.ground.seed, ids, "harden check"))
                robust += int(many.survivors(model, images, targets, start=start).sum())
                single += int(one.survivors(model, images, targets, start=torch.zeros_like(images)).sum())
        return {"robust_accuracy": robust / len(part.ids), "one_step_accuracy": single / len(part.ids)}

    def _checks(self) -> tuple[Climb, Climb]:
        eps, count = self.ground.eps, self.settings.check_steps
        many = Climb(self.ground.norm, eps, count, max(2.5 / count, 1 / 4) * eps)
        return many, Climb(self.ground.norm, eps, 1, eps)

    def _maps_judged(self, model: Model, part: Tensors, *, batch_size: int) -> dict[str, float]:
        many, one = self._checks()
        robust, single = [], []
        with mode(model, "eval"):
            for images, truth, ids in _portions(part, batch_size, next(model.parameters()).device):
                start = many.start(images, ImageRandom(self.ground.seed, ids, "harden check"))
                robust.append(many.lowest(model, images, truth, start=start))
                single.append(one.lowest(model, images, truth, start=torch.zeros_like(images)))
        return _shares({"robust": torch.cat(robust), "one_step": torch.cat(single)})

    def _heat_judged(self, model: Model, part: Tensors, *, batch_size: int) -> dict[str, float]:
        many, one = self._checks()
        robust, single = [], []
        with mode(model, "eval"):
            for images, truth, ids in _portions(part, batch_size, next(model.parameters()).device):
                start = many.start(images, ImageRandom(self.ground.seed, ids, "harden check"))
                robust.append(many.hardest(model, images, truth, start=start).cpu())
                single.append(one.hardest(model, images, truth, start=torch.zeros_like(images)).cpu())
        maps = {"robust": torch.cat(robust), "one_step": torch.cat(single)}
        areas = {f"{name}_auc_pr": area(logits, part.targets) for name, logits in maps.items()}
        good = {name: quality(decide(logits, model.task), part.targets, 2) for name, logits in maps.items()}
        return _shares(good) | {name: value for name, value in areas.items() if value is not None}

    def score(self, row: Epoch) -> float:
        """What decides the best epoch, lower is better; among equals the clean one. Or the loss alone.

        Robust accuracy; of class maps their robust Dice, of heat maps their AUC-PR under attack.
        """
        if self.settings.choose == "loss":
            return row.val_loss
        if row.robust_auc_pr is not None:
            return -row.robust_auc_pr - 1e-6 * (row.val_auc_pr or 0.0)
        if row.robust_dice is not None:
            return -row.robust_dice - 1e-6 * (row.val_dice or 0.0)
        return -(row.robust_accuracy or 0.0) - 1e-6 * row.val_accuracy


def _shares(worst: dict[str, Tensor]) -> dict[str, float]:
    """Share of images of a quality of at least 0.5, and the mean quality, by name."""
    shares = {f"{name}_accuracy": float((each >= BAR).double().mean()) for name, each in worst.items()}
    return shares | {f"{name}_dice": float(each.mean()) for name, each in worst.items()}


def _portions(part: Tensors, size: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
    for begin in range(0, len(part.ids), size):
        rows = slice(begin, begin + size)
        yield to_device(part.images[rows], device), part.targets[rows].to(device), part.ids[rows]
