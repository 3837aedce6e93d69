"""The standard suite as one attack: the search over all sizes, then stronger attacks on what is still open."""

from __future__ import annotations

from functools import partial

from percuss.attacks.cascade import Closer, closers
from percuss.attacks.curve import curve
from percuss.attacks.in_turn import one_by_one
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.seeds import ImageRandom

#: A mask has no single decision to find the smallest change or the next class of.
TASKS = ("classify", "multilabel")


def standard(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, effort: str = "standard") -> Attempt:
    """The suite at a single size; the engine runs all sizes of a norm at once (``attacks.cascade``).

    Args:
        target, batch, budget: as for every attack.
        rng: draws the starts of attacks after the first.
        effort: ``quick``, ``standard`` or ``thorough``: steps, targets and queries of what closes an image.
    """
    listed = [Closer("curve", curve, {"effort": effort}), *closers(effort, target, budget.norm)]
    parts = [(partial(closer.attack, **closer.settings), [closer.tries(name) for name in rng.ids]) for closer in listed]
    return one_by_one(target, batch, budget, rng=rng, parts=parts)
