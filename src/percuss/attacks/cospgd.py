"""CosPGD: projected gradient descent on masks with every pixel weighed by how near its answer is to the truth."""

from __future__ import annotations

from torch import Tensor

from percuss.attacks import pixels
from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom

TASKS = ("segment", "heatmap")


def cospgd(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 20,
    step_size: float | None = None,
) -> Attempt:
    """Pixels weigh by the cosine between softmax and truth (Agnihotri et al., ICML 2024).

    Args:
        target, batch, budget: as for every attack; the task is segment or heatmap.
        rng: draws the start, uniform in the ball.
        steps: gradient steps.
        step_size: as for ``pgd``.
    """

    def slope(rows: Tensor, step: int) -> pixels.Slope:
        return pixels.cospgd(*target.sides(rows))

    return ascend(target, batch, budget, climb=Climb(steps, step_size, start=rng, slope=slope))
