"""Steps on the image by the gradient of one step of a sparse code's dynamics: a weak stand-in, to be known as such."""

from __future__ import annotations

from percuss.attacks.straight_through import straight_through
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.latent import SparseCoder
from percuss.core.seeds import ImageRandom

TASKS = ("heatmap",)
#: What the attacked network must be; the contract tests give it one.
NEEDS = SparseCoder


def one_step(
    target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, steps: int = 40, step_size: float | None = None
) -> Attempt:
    """``straight_through`` with ``mode="one_step"``, under a name of its own so that one audit may hold both.

    Args:
        target, batch, budget: as for every attack; a network with a sparse code.
        rng: draws the start, uniform in the ball.
        steps, step_size: as for ``pgd``.
    """
    return straight_through(target, batch, budget, rng=rng, steps=steps, step_size=step_size, mode="one_step")


one_step.on_own_model = True  # type: ignore[attr-defined]
