"""Removal of one class from masks: its pixels become background, everything else stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from percuss.attacks.aims import Aim, check_rest, pursue, victim_of
from percuss.attacks.ascent import Climb
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.errors import AttackError
from percuss.core.seeds import ImageRandom

TASKS = ("segment", "heatmap")


def remove(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    victim: int | str = 1,
    into: str = "background",
    rest: float = 1.0,
    steps: int = 20,
    step_size: float | None = None,
) -> Attempt:
    """Steps down the cross-entropy to the map decided before with one class replaced.

    Args:
        target, batch, budget: as for every attack; the task is segment or heatmap.
        rng: draws the start, uniform in the ball.
        victim: the class to take away, by index or name; not the background.
        into: ``background``, or ``other`` for any other class (at each step the likeliest).
        rest: weight of all other pixels together, which should stay, against those of the class.
        steps: gradient steps.
        step_size: as for ``pgd``.
    """
    found = mask_aim(target.model.classes, victim=victim, into=into, rest=rest)
    return pursue(target, batch, budget, rng=rng, aim=found, climb=Climb(steps, step_size))


def mask_aim(
    classes: Sequence[str], *, victim: int | str = 1, into: str = "background", rest: float = 1.0, **_: Any
) -> Aim:
    """The aim of these settings; AttackError for one without meaning."""
    if into not in ("background", "other"):
        raise AttackError("unknown value of the setting into", value=into, allowed="background, other")
    return Aim("remove", victim_of(classes, victim), into, check_rest(rest))
