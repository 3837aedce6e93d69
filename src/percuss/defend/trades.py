"""Accuracy on clean images plus beta times how far a change within the ball moves the answer (Zhang et al. 2019)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from percuss.core.norms import Room, project
from percuss.core.seeds import ImageRandom
from percuss.defend.climbing import Climb, mode
from percuss.defend.divergence import apart_slope, divergence
from percuss.defend.hardening import Hardening, Inner, step_length
from percuss.defend.recipe import Done, Turn

#: Spread of the normal noise the inner attack starts from, as a share of eps (under l2 of the whole change): at the
#: clean image itself the divergence has no slope.
_START = 0.03


class Settings(Inner):
    """Settings of ``trades``.

    Attributes:
        steps: of the inner attack, which needs no labels: it climbs the divergence from the clean answer.
        beta: weight of that divergence against the loss on clean images.
    """

    steps: int = Field(default=10, ge=1, le=1000)
    beta: float = Field(default=6.0, ge=0, allow_inf_nan=False)


class Defence(Hardening):
    """Each image counts twice: clean for the label, and attacked for staying near the clean answer."""

    name = "trades"
    settings: Settings

    def turn(self, turn: Turn) -> Done:
        """Attack every image, learn from both losses at once."""
        attacked = self._attacked(turn)
        clean = turn.wrapped(turn.images)
        apart = divergence(clean, turn.wrapped(attacked), turn.model.task).mean()
        loss: Tensor = turn.loss(clean, turn.targets) + self.settings.beta * apart
        turn.update(loss)
        return Done(loss.detach(), len(turn.images), len(attacked))

    def _attacked(self, turn: Turn) -> Tensor:
        settings, norm, eps = self.settings, self.ground.norm, self.ground.eps
        climb = Climb(norm, eps, settings.steps, step_length(eps, settings.steps, settings.step_size))
        images, rng = turn.images, ImageRandom(turn.seed, turn.ids, f"harden {turn.epoch}")
        noise = rng.normal(images.shape[1:]).to(images.device)
        spread = _START * eps if norm.value == "linf" else _START * eps / images[0].numel() ** 0.5
        start = project(norm, spread * noise, eps, Room.of(images))
        with mode(turn.model, settings.batch_norm), turn.fabric.autocast():
            with torch.no_grad():
                first = turn.model(images)
            return climb.attacked(turn.model, images, apart_slope(first, turn.model.task), start=start)
