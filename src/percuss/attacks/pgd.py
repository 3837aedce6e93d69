"""Projected gradient descent: steps from a random start, projected exactly onto ball and box, any norm."""

from __future__ import annotations

from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom


def pgd(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 20,
    step_size: float | None = None,
) -> Attempt:
    """Steps from a random start (Madry et al. 2018).

    Args:
        target, batch, budget: as for every attack.
        rng: draws the start, uniform in the ball (``core.norms.random_start``).
        steps: gradient steps.
        step_size: length of a step in [0, 1] units; ``2.5 * eps / steps`` where None
            (l2: ``4 * eps / steps``). Not for l1 and l0.
    """
    return ascend(target, batch, budget, climb=Climb(steps, step_size, start=rng))
