"""Smallest change under linf, l2, l1 or l0 by Fast Minimum-Norm steps, started by a linear estimate."""

from __future__ import annotations

from percuss.attacks.closing import Descent, close_in
from percuss.attacks.hunt import Hunt
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.seeds import ImageRandom

#: First step, momentum, leaps by norm: what did best on real patches (benchmarks/smallest.py).
_TUNED = {Norm.LINF: (0.3, 0.7, 3), Norm.L2: (1.0, 0.0, 0), Norm.L1: (1.0, 0.7, 0), Norm.L0: (1.0, 0.0, 2)}
#: A mask has no single decision to find the smallest change or the next class of.
TASKS = ("classify", "multilabel")


def fmn(
    target: Target,
    batch: Batch,
    budget: Budget,
    *,
    rng: ImageRandom,
    steps: int = 100,
    step_size: float | None = None,
) -> Attempt:
    """Fast Minimum-Norm (Pintor et al. 2021, arXiv 2102.12827), with sizes and first steps by linear estimates.

    Args:
        target, batch, budget: as for every attack; the norm none is searched as l2.
        rng: not used; nothing here is random.
        steps: gradient evaluations of each image, 2 or more.
        step_size: the first step's share of the present size; None for what suits the norm. Not for l0.
    """
    hunt = Hunt(target, batch, budget)
    first, momentum, leaps = _TUNED[hunt.norm]
    return close_in(hunt, Descent(steps=steps, first=step_size or first, momentum=momentum, leaps=leaps))
