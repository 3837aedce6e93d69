"""SegPGD: projected gradient descent on masks that turns from the right pixels to the wrong ones as it goes."""

from __future__ import annotations

from torch import Tensor

from percuss.attacks import pixels
from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom

TASKS = ("segment", "heatmap")


def segpgd(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 20,
    step_size: float | None = None,
) -> Attempt:
    """Pixels that are wrong already weigh little at first and half at the end (Gu et al., ECCV 2022).

    Args:
        target, batch, budget: as for every attack; the task is segment or heatmap.
        rng: draws the start, uniform in the ball.
        steps: gradient steps.
        step_size: as for ``pgd``.
    """

    def slope(rows: Tensor, step: int) -> pixels.Slope:
        return pixels.segpgd(*target.sides(rows), share=step / (2 * steps))

    return ascend(target, batch, budget, climb=Climb(steps, step_size, start=rng, slope=slope))
