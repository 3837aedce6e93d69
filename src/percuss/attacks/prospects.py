"""Whether an attack is worth going on with: by the rise of its margin, and by how near it has come."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.attacks.effort import Effort
from percuss.attacks.slots import Slots
from percuss.core.budget import Norm
from percuss.core.model import Model

#: At the largest size, how many times beyond hope an attack may be for the other loss to be tried after it.
_PATIENCE = 4


@dataclass(frozen=True)
class Prospects:
    """What the efforts mean for attacks on their way.

    Attributes:
        effort: its numbers.
        measured: whether steps have a length, so that the rise of the margin tells something: linf and l2.
        patience: how far beyond hope an attack may be and another still be made at the largest size.
    """

    effort: Effort
    measured: bool
    patience: int

    @classmethod
    def of(cls, effort: Effort, norm: Norm, model: Model) -> Prospects:
        """For a norm and a model. With two classes the losses lead the same way: another adds little."""
        several = model.task != "classify" or len(model.classes) > 2
        return cls(effort, norm in (Norm.LINF, Norm.L2), _PATIENCE if several else 1)

    def further(self, slots: Slots) -> Tensor:
        """How many steps more than the plain number each attack has."""
        hopeful = slots.needed() <= self.effort.hope if self.measured else torch.zeros_like(slots.step)
        return hopeful * self.effort.further

    def nearly(self, slots: Slots, clean: Tensor) -> Tensor:
        """Which have come so near that another may get through; ``clean`` has their margins at the clean image."""
        return slots.trail[:, -1] > (self.effort.nearly if self.effort.again else 0.0) * clean

    def in_vain(self, slots: Slots, clean: Tensor) -> Tensor:
        """Which are given up: as their margin rises they need too many more steps."""
        if not self.measured:
            return torch.zeros_like(slots.row, dtype=torch.bool)
        far = (slots.step >= self.effort.trial) & (slots.needed() > self.effort.hope)
        return far & ~self.nearly(slots, clean)

    def more(self, slots: Slots, clean: Tensor, *, top: int) -> Tensor:
        """How many attacks more than ``tries`` may follow each failed one; ``top`` is the index of the largest size."""
        far = self.in_vain(slots, clean) & (slots.needed() > self.patience * self.effort.hope)
        return ((slots.size == top) & ~far) * self.effort.top + self.nearly(slots, clean) * self.effort.again
