"""Adversarial training by many steps: part of each batch is attacked, the rest stays clean (Madry et al. 2018)."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from percuss.core.images import Task
from percuss.core.seeds import ImageRandom
from percuss.defend.climbing import Climb, Slopes, mode, true_slope
from percuss.defend.hardening import Hardening, Inner, step_length
from percuss.defend.recipe import Done, Turn


class Settings(Inner):
    """Settings of ``pgd``.

    Attributes:
        steps: of the inner attack, from a random start in the ball.
        ratio: share of attacked images among all; 1 trains on attacked images alone.
    """

    steps: int = Field(default=7, ge=1, le=1000)
    ratio: float = Field(default=0.5, gt=0, le=1)


class Defence(Hardening):
    """The first images of each (shuffled) batch are replaced by attacked ones; one pass learns from all."""

    name = "pgd"
    settings: Settings

    def turn(self, turn: Turn) -> Done:
        """Attack the share of the batch that is due, learn from the whole."""
        count = due(self.settings.ratio, turn.seen, len(turn.images))
        images = torch.cat([self._attacked(turn, count), turn.images[count:]]) if count else turn.images
        loss: Tensor = turn.loss(turn.wrapped(images), turn.targets)
        turn.update(loss)
        return Done(loss.detach(), len(images) - count, count)

    def _attacked(self, turn: Turn, count: int) -> Tensor:
        settings, eps = self.settings, self.ground.eps
        climb = Climb(self.ground.norm, eps, settings.steps, step_length(eps, settings.steps, settings.step_size))
        images, rng = turn.images[:count], ImageRandom(turn.seed, turn.ids[:count], f"harden {turn.epoch}")
        with mode(turn.model, settings.batch_norm), turn.fabric.autocast():
            slopes = self.slopes(turn.targets[:count], turn.model.task)
            return climb.climbed(turn.model, images, slopes, start=climb.start(images, rng))

    def slopes(self, targets: Tensor, task: Task) -> Slopes:
        """What the inner attack climbs at each step: the loss of the truth at all of them."""
        slope = true_slope(targets, task)
        return lambda _: slope


def due(ratio: float, seen: int, size: int) -> int:
    """How many of the next ``size`` images are attacked, so that the share of all is exact to half an image."""
    return math.floor(ratio * (seen + size) + 0.5) - math.floor(ratio * seen + 0.5)
