"""Hallucination of one class in masks: it appears where the truth is background, everything else stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from percuss.attacks.aims import Aim, check_rest, pursue, victim_of
from percuss.attacks.ascent import Climb
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom

TASKS = ("segment", "heatmap")


def hallucinate(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    victim: int | str = 1,
    rest: float = 1.0,
    steps: int = 20,
    step_size: float | None = None,
) -> Attempt:
    """Steps down the cross-entropy to the map decided before with the true background replaced by one class.

    Within a region only the background inside it should change.

    Args:
        target, batch, budget: as for every attack; the task is segment or heatmap.
        rng: draws the start, uniform in the ball.
        victim: the class that should appear, by index or name; not the background.
        rest: weight of all other pixels together, which should stay, against the background.
        steps: gradient steps.
        step_size: as for ``pgd``.
    """
    found = mask_aim(target.model.classes, victim=victim, rest=rest)
    return pursue(target, batch, budget, rng=rng, aim=found, climb=Climb(steps, step_size))


def mask_aim(classes: Sequence[str], *, victim: int | str = 1, rest: float = 1.0, **_: Any) -> Aim:
    """The aim of these settings; AttackError for one without meaning."""
    return Aim("hallucinate", victim_of(classes, victim), rest=check_rest(rest))
