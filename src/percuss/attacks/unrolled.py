"""Steps on the image by the gradient through so many iterations of the dynamics that make a sparse code."""

from __future__ import annotations

from percuss.attacks import codes
from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.latent import SparseCoder
from percuss.core.seeds import ImageRandom

TASKS = ("heatmap",)
#: What the attacked network must be; the contract tests give it one.
NEEDS = SparseCoder


def unrolled(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 40,
    step_size: float | None = None,
    iterations: int | None = None,
    tau: float | None = None,
) -> Attempt:
    """Projected gradient descent end to end, each gradient taken through the iterations one by one.

    The right gradient of an encoder that stops after so many iterations; of a converged one it is biased.

    Args:
        target, batch, budget: as for every attack; a network with a sparse code.
        rng: draws the start, uniform in the ball.
        steps, step_size: as for ``pgd``.
        iterations, tau: how many iterations of the dynamics and their time constant; as the network has them where
            None.
    """
    with codes.through(target, "unrolled", "unrolled", steps=iterations, tau=tau):
        return ascend(target, batch, budget, climb=Climb(steps, step_size, start=rng))


unrolled.on_own_model = True  # type: ignore[attr-defined]
