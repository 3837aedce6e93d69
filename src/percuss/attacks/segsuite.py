"""A suite for masks: attacks that climb different losses, the worst mask of each image kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from percuss.attacks.apgd import apgd
from percuss.attacks.cospgd import cospgd
from percuss.attacks.in_turn import one_by_one
from percuss.attacks.segpgd import segpgd
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.errors import AttackError, nearest
from percuss.core.seeds import ImageRandom

TASKS = ("segment", "heatmap")


@dataclass(frozen=True)
class Suite:
    """Steps of each attack, the losses that Auto-PGD climbs, whether SegPGD and CosPGD follow, and rounds by radius."""

    steps: int
    losses: tuple[str, ...]
    weighted: bool = True
    radii: tuple[str, ...] = ("fixed",)


SUITES = {
    "quick": Suite(20, ("dice", "ce"), weighted=False),
    "standard": Suite(50, ("dice", "ce", "js", "masked", "balanced")),
    "thorough": Suite(150, ("dice", "ce", "js", "masked", "balanced"), radii=("shrinking", "fixed")),
}


def segsuite(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, effort: str = "standard") -> Attempt:
    """Every part attacks every image that is not done, each from a start of its own; the worst mask comes back.

    Args:
        target, batch, budget: as for every attack; the task is segment or heatmap.
        rng: draws the starts.
        effort: ``quick``, ``standard`` or ``thorough``: steps, losses and rounds.
    """
    every = [True] * len(batch.images)
    listed = [(part, every) for part in parts(effort)]
    return one_by_one(target, batch, budget, rng=rng, parts=listed)


def parts(effort: str) -> list[Callable[..., Attempt]]:
    """The attacks of the suite in order, with their settings given; AttackError for an unknown effort."""
    if effort not in SUITES:
        raise AttackError("unknown effort", value=effort, allowed=nearest(effort, SUITES))
    suite, found = SUITES[effort], list[Callable[..., Any]]()
    for radius in suite.radii:  # the generator goes on, so that each round starts elsewhere
        found += [partial(apgd, steps=suite.steps, loss=loss, radius=radius) for loss in suite.losses]
        found += [partial(attack, steps=suite.steps) for attack in (segpgd, cospgd) if suite.weighted]
    return found
