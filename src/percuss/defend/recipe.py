"""What a way of training decides about each batch, each epoch and the end; plain training is the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.images import Tensors
from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.defend.records import Epoch


@dataclass(frozen=True)
class Turn:
    """One batch, and what a recipe may do with it.

    Attributes:
        model: for attacks; ``wrapped`` is the same for the pass that trains (devices, precision).
        loss: ``(logits, targets) -> mean loss``.
        images, targets, ids: the batch, on the device; ``[N, C, H, W]`` in [0, 1].
        epoch: number from 0; ``seen``: images of this epoch before the batch; ``seed``: of the training.
    """

    fabric: Fabric
    model: Model
    wrapped: nn.Module
    optimiser: Any
    loss: nn.Module
    images: Tensor
    targets: Tensor
    ids: Sequence[str]
    epoch: int
    seen: int
    seed: int

    def update(self, loss: Tensor) -> None:
        """One step of the optimiser. ModelError where no gradient reaches the weights."""
        if not loss.requires_grad:
            raise ModelError(
                "no gradient reaches the weights of the model, so it cannot be trained",
                value=self.model.info.spec,
                allowed="a forward without detach or no_grad, and weights that may change",
                next_step="train the network without that step",
            )
        self.optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimiser.step()


@dataclass(frozen=True)
class Done:
    """The loss of a batch (detached), and how many images went into it as they are and attacked."""

    loss: Tensor
    clean: int
    adversarial: int = 0


class Plain:
    """Training on the images as they are."""

    #: Whether validation measures robust accuracy too, and the model is judged before the first step.
    hardens = False

    def identity(self) -> str:
        """Text of everything that decides the weights beside ``TrainSettings``."""
        return ""

    def turn(self, turn: Turn) -> Done:
        """Learn from one batch."""
        loss: Tensor = turn.loss(turn.wrapped(turn.images), turn.targets)
        turn.update(loss)
        return Done(loss.detach(), len(turn.images))

    def judge(self, model: Model, part: Tensors, *, batch_size: int) -> dict[str, float]:
        """Fields of ``Epoch`` beside loss and accuracy, from the validation images."""
        return {}

    def score(self, row: Epoch) -> float:
        """What the best epoch has least of."""
        return row.val_loss

    def ending(self, history: Sequence[Epoch]) -> Finding | None:
        """Why the training must end now, from its history alone; None to go on."""
        return None

    def state(self) -> dict[str, Tensor]:
        """What the next epoch needs from this one."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up ``state`` again."""


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Images on the device, channels last."""
    return values.to(device, memory_format=torch.channels_last)
