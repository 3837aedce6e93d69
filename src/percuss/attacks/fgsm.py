"""Fast gradient sign method: one step to the best change for the gradient at the clean image, any norm."""

from __future__ import annotations

from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom


def fgsm(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom) -> Attempt:
    """One gradient, one step (Goodfellow et al. 2015). Under linf: ``clip(x + eps * sign(gradient))``."""
    return ascend(target, batch, budget, climb=Climb(1, single=True))
