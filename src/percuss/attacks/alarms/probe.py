"""What every alarm is given, and the record it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from percuss.attacks.engine import run_attack
from percuss.attacks.eval_mode import device_of
from percuss.attacks.job import Swept
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import parse_budget
from percuss.core.dense import standing
from percuss.core.errors import AttackError
from percuss.core.images import Tensors
from percuss.core.model import Model, is_right
from percuss.core.outcome import Severity


@dataclass(frozen=True)
class Alarm:
    """Outcome of one check, flagged or not.

    Attributes:
        id: of the finding it becomes when flagged, listed in docs/findings.md.
        check: what was looked at, in a few words.
        flagged: the check failed.
        severity: how grave that is (``info`` where not flagged, unless the record is a plain fact).
        message: what was seen, with its numbers.
        evidence: the numbers by name, as plain values.
    """

    id: str
    check: str
    flagged: bool
    severity: Severity
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Means:
    """How much the alarms spend on an image: gradient steps, restarts, queries and noise draws."""

    steps: int
    restarts: int
    queries: int
    draws: int


MEANS = {"quick": Means(10, 1, 100, 30), "standard": Means(20, 2, 300, 100), "thorough": Means(50, 5, 2000, 1000)}


def means_of(effort: str) -> Means:
    """The means of ``quick``, ``standard`` or ``thorough``; AttackError for another word."""
    if effort not in MEANS:
        raise AttackError("unknown effort of the alarms", value=effort, allowed=", ".join(MEANS))
    return MEANS[effort]


@dataclass(frozen=True)
class Probe:
    """The model under suspicion with some images that it decides rightly.

    Attributes:
        model: in eval mode with frozen parameters.
        batch: images, all decided rightly, on the CPU; with a region, attacks change pixels there alone.
        seed: decides all randomness.
        batch_size: images at a time.
        means: how much is spent.
    """

    model: Model
    batch: Tensors
    seed: int
    batch_size: int
    means: Means

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.batch.ids)

    def given(self, most: int | None = None) -> Batch:
        """The first images and targets, on the model's device."""
        device = device_of(self.model)
        region = None if self.batch.region is None else self.batch.region[:most].to(device)
        return Batch(self.batch.images[:most].to(device), self.batch.targets[:most].to(device), region)

    def target(self, given: Batch) -> Target:
        """The model as attacks see it."""
        return Target(self.model, given, Goal(), pixels=None)

    def rows(self, chosen: Tensor) -> Probe:
        """The same for some of the images (bool ``[N]``)."""
        return Probe(self.model, part(self.batch, chosen), self.seed, self.batch_size, self.means)

    def everywhere(self) -> Probe:
        """The same without a region: for what is asked of the model, whatever part of the image may change."""
        return Probe(self.model, replace(self.batch, region=None), self.seed, self.batch_size, self.means)

    def logits(self, images: Tensor) -> Tensor:
        """Logits of any number of images, in batches, on the CPU."""
        device = device_of(self.model)
        with torch.no_grad():
            found = [self.model(some.to(device)).cpu() for some in torch.split(images, self.batch_size)]
        return torch.cat(found)

    def flips(self, attack: str | Callable[..., Any], budget: str, **settings: Any) -> Tensor:
        """Which images an attack flips within a budget, bool ``[N]``; as float, nothing carried from elsewhere.

        Of heat maps, which have no threshold: where tumour cells no longer score above the others in the mean.
        """
        if not self.count:
            return torch.zeros(0, dtype=torch.bool)
        if self.model.task == "heatmap":
            return self.left_standing(attack, budget, **settings) <= 0
        return torch.tensor([row.success for row in self._swept(attack, budget, settings).outcomes])

    def left_standing(self, attack: str | Callable[..., Any], budget: str, **settings: Any) -> Tensor:
        """``core.dense.standing`` of heat maps after an attack that never stops early, float64 ``[N]``."""
        (images,) = self._swept(attack, budget, {"early_stop": False, **settings}).images.values()
        return standing(self.logits(images), self.batch.targets)

    def _swept(self, attack: str | Callable[..., Any], budget: str, settings: dict[str, Any]) -> Swept:
        return run_attack(
            attack,
            self.model,
            self.batch,
            [parse_budget(budget)],
            seed=self.seed,
            batch_size=self.batch_size,
            settings=settings,
            allow_silent=True,
        )


def told(value: float) -> float:
    """A number as it is recorded: what float32 cannot tell from 0 is 0, so that batch sizes leave no trace."""
    return 0.0 if abs(value) < 1e-6 else float(f"{value:.3g}")


def part(batch: Tensors, chosen: Tensor) -> Tensors:
    """Some of the images (bool ``[N]``)."""
    index = chosen.nonzero().flatten().tolist()
    return Tensors(
        [batch.ids[i] for i in index],
        batch.images[index],
        batch.targets[index],
        [batch.groups[i] for i in index],
        batch.range,
        region=None if batch.region is None else batch.region[index],
    )


def rightly_decided(model: Model, batch: Tensors, most: int) -> Tensors:
    """The first images that the model decides rightly (heat maps: tumour stands out), at most so many."""
    device = device_of(model)
    with torch.no_grad():
        logits = torch.cat([model(some.to(device)).cpu() for some in torch.split(batch.images, 32)])
    # Of heat maps those whose tumour stands out, so that an attack has something to hide.
    heat = model.task == "heatmap"
    right = standing(logits, batch.targets) > 0 if heat else is_right(logits, batch.targets, model.task)
    return part(batch, right & (right.cumsum(0) <= most))
