"""Basic iterative method: small steps from the clean image, no randomness, any norm."""

from __future__ import annotations

from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom


def bim(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 10,
    step_size: float | None = None,
) -> Attempt:
    """Iterated steps (Kurakin et al. 2017).

    Args:
        target, batch, budget, rng: as for every attack; the random numbers are not used.
        steps: gradient steps.
        step_size: length of a step in [0, 1] units; ``eps / steps`` where None. Not for l1 and l0.
    """
    return ascend(target, batch, budget, climb=Climb(steps, step_size, reach=1.0))
