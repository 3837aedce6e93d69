"""Training on images led towards each class in turn, made once from a given model (Avramidis et al., method one)."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from percuss.attacks.layered import layered
from percuss.attacks.target import Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.seeds import ImageRandom
from percuss.defend.augmenting import Augmented, Augmenting, Method, ball
from percuss.defend.hardening import Ground

#: Published: no ball, so many steps for each class, of this length.
PAPER_STEPS, PAPER_LENGTH = 100, 1e-3


class Settings(Augmented):
    """Settings of ``layered``.

    Attributes:
        steps: towards each class; None for 20 (paper: 100).
        step_size: length of a step; None for ``2.5 * eps / steps`` (paper: 0.001).
    """

    steps: int | None = Field(default=None, ge=1, le=1000)
    step_size: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Defence(Augmenting):
    """Each training image is replaced by its changed one."""

    name = "layered"
    settings: Settings

    def methods(self, classes: int) -> tuple[Method, ...]:
        """Method one."""
        return (method_one(self.settings, self.ground),)


def method_one(settings: Settings, ground: Ground) -> Method:
    """The layered attack with these settings, every one of them filled in."""
    paper = settings.protocol == "paper"
    budget = Budget(Norm.NONE, math.inf, "unit", "none") if paper else ball(ground)
    steps = settings.steps or (PAPER_STEPS if paper else 20)
    length = settings.step_size or (PAPER_LENGTH if paper else 2.5 * ground.eps / steps)

    def make(target: Target, batch: Batch) -> Tensor:
        nothing = ImageRandom(0, (), "layered")  # the attack draws nothing
        return layered(target, batch, budget, rng=nothing, steps=steps, step_size=length).images

    told = {"protocol": settings.protocol, "steps": steps, "step_size": length}
    return Method("layered", told, budget, make)
