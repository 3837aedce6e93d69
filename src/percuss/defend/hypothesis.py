"""Training on images changed for the better, made once from a given model and the truth (Avramidis, method two)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from percuss.attacks.target import Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.defend.augmenting import Augmented, Augmenting, Method, ball
from percuss.defend.enhancing import Choice, Unclipped, enhanced
from percuss.defend.hardening import Ground

#: Published: the size of each class's pattern.
PAPER_PATTERN = 0.01


class Settings(Augmented):
    """Settings of ``hypothesis``.

    Attributes:
        search: ``exact`` judges all ``3 ** classes`` choices, ``quick`` about ``asks``; None for quick (paper: exact).
        criterion: ``loss`` or ``mae`` (``defend.enhancing.Choice``); None for loss (paper: mae).
        asks: candidates judged for each image by ``quick``.
        pattern_size: largest change of a value by one class's pattern, of the paper's form alone; None for 0.01. The
            corrected form divides the budget by the number of classes.
    """

    search: Literal["quick", "exact"] | None = None
    criterion: Literal["loss", "mae"] | None = None
    asks: int = Field(default=100, ge=50, le=100_000)
    pattern_size: float | None = Field(default=None, gt=0, le=1)

    @field_validator("pattern_size")
    @classmethod
    def _published(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("protocol") != "paper":
            raise ValueError("only with protocol paper; else the budget decides")
        return value


class Defence(Augmenting):
    """Each training image is replaced by its changed one."""

    name = "hypothesis"
    settings: Settings

    def methods(self, classes: int) -> tuple[Method, ...]:
        """Method two."""
        return (method_two(self.settings, self.ground, classes),)


def method_two(settings: Settings, ground: Ground, classes: int) -> Method:
    """The choice of patterns for the better with these settings, every one of them filled in."""
    paper = settings.protocol == "paper"
    choice = Choice(
        settings.search or ("exact" if paper else "quick"),
        settings.criterion or ("mae" if paper else "loss"),
        settings.asks,
    )
    told: dict[str, Any] = {"protocol": settings.protocol, "search": choice.search, "criterion": choice.criterion}
    told |= {"asks": choice.asks} if choice.search == "quick" else {}
    budget = ball(ground)
    if paper:
        size = settings.pattern_size or PAPER_PATTERN
        told |= {"pattern_size": size}
        budget = Budget(Norm.LINF, classes * size, "unit", f"linf={classes * size:.6g}")

    def make(target: Target, batch: Batch) -> Tensor:
        given = Unclipped(batch.images, batch.targets) if paper else batch
        return enhanced(target, given, budget, choice=choice)

    return Method("hypothesis", told, budget, make)
