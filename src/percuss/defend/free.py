"""Several updates on each batch, whose one gradient serves weights and changes alike (Shafahi et al. 2019)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from percuss.attacks.moves import Place, move
from percuss.core.norms import Room, project
from percuss.defend.hardening import Checked, Ground, Hardening
from percuss.defend.recipe import Done, Turn


class Settings(Checked):
    """Settings of ``free``.

    Attributes:
        replays: updates on each batch; an epoch costs as much as so many epochs of plain training.
        step_size: length of the step after each update, in the norm's own measure; None for eps.
    """

    replays: int = Field(default=4, ge=1, le=100)
    step_size: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Defence(Hardening):
    """The change of each place in the batch is carried on from batch to batch, from nothing at the beginning."""

    name = "free"
    settings: Settings

    def __init__(self, settings: Settings, ground: Ground) -> None:
        super().__init__(settings, ground)
        self._change: Tensor | None = None

    def turn(self, turn: Turn) -> Done:
        """Learn from the batch ``replays`` times; after each update the images move uphill too."""
        norm, eps, images = self.ground.norm, self.ground.eps, turn.images
        length = self.settings.step_size or eps
        room, count = Room.of(images), len(images)
        change = project(norm, self._carried(images), eps, room)
        total = torch.zeros((), device=images.device)
        for number in range(self.settings.replays):
            inputs = (images + change).clamp(0, 1).detach().requires_grad_(True)
            loss: Tensor = turn.loss(turn.wrapped(inputs), turn.targets)
            turn.update(loss)
            gradient = torch.zeros_like(images) if inputs.grad is None else torch.nan_to_num(inputs.grad)
            change = move(Place.at(change, room, norm), gradient, norm, eps=eps, length=length, step=number).change
            total += loss.detach()
        rest = images.new_zeros(0, *images.shape[1:]) if self._change is None else self._change[count:]
        self._change = torch.cat([change.detach(), rest.to(change)])
        return Done(total / self.settings.replays, 0, count * self.settings.replays)

    def state(self) -> dict[str, Tensor]:
        """The changes carried on; after a stop every device goes on with those of the first."""
        return {} if self._change is None else {"change": self._change.cpu().contiguous()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take the changes up again."""
        self._change = state.get("change")

    def _carried(self, images: Tensor) -> Tensor:
        if self._change is None:
            return torch.zeros_like(images)
        kept = self._change[: len(images)].to(images)
        return torch.cat([kept, torch.zeros_like(images[len(kept) :])])
