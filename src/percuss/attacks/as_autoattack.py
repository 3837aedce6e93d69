"""The steps, targets and queries of AutoAttack's standard suite, on our own attacks, for any number of classes."""

from __future__ import annotations

from functools import partial

from percuss.attacks.apgd import apgd
from percuss.attacks.in_turn import one_by_one
from percuss.attacks.square import square
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom

CLASSES = 9
#: A mask has no single decision to find the smallest change or the next class of.
TASKS = ("classify", "multilabel")


def as_autoattack(
    target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, steps: int = 100, queries: int = 5000
) -> Attempt:
    """APGD on cross-entropy, then towards other classes, then Square (Croce and Hein 2020, table 2, without FAB).

    Args:
        target, batch, budget: as for every attack.
        rng: draws starts and squares.
        steps: of APGD, for each loss and class; AutoAttack's are 100.
        queries: of Square; AutoAttack's are 5000.
    """
    chosen = {"loss": "margin"} if target.goal.target is not None else {"loss": "targeted", "classes": CLASSES}
    parts = [
        partial(apgd, steps=steps),
        partial(apgd, steps=steps, **chosen),
        partial(square, queries=queries),
    ]
    every = [True] * len(batch.images)
    return one_by_one(target, batch, budget, rng=rng, parts=[(part, every) for part in parts])
