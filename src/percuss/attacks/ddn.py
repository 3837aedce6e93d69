"""Smallest change under l2: direction and length apart (Decoupling Direction and Norm)."""

from __future__ import annotations

from percuss.attacks.closing import Descent, close_in
from percuss.attacks.hunt import Hunt
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.seeds import ImageRandom

#: Norms this attack knows; none is searched as l2.
NORMS = (Norm.L2, Norm.NONE)
#: A mask has no single decision to find the smallest change or the next class of.
TASKS = ("classify", "multilabel")


def ddn(  # noqa: PLR0913
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 100,
    step_size: float = 1.0,
    shrink: float = 0.05,
) -> Attempt:
    """Decoupling Direction and Norm (Rony et al. 2019, arXiv 1811.09600), its first step a linear estimate.

    Args:
        target, batch, budget: as for every attack.
        rng: not used; nothing here is random.
        steps: gradient evaluations of each image, 2 or more.
        step_size: the first step's share of the present size.
        shrink: the largest share by which the size changes in a step.

    Raises:
        AttackError: a norm other than l2 and none.
    """
    hunt = Hunt(target, batch, budget).only(NORMS, "ddn")
    return close_in(hunt, Descent(steps=steps, first=step_size, shrink=shrink, sphere=True, leaps=0))
