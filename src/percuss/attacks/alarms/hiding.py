"""The attack that asks of a heat map what its alarms ask: can tumour be made to stand out no more?"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from percuss.attacks.alarms.probe import Probe
from percuss.attacks.ascent import Climb, ascend
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget
from percuss.core.dense import standing
from percuss.core.seeds import ImageRandom


def hide(target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, steps: int = 20) -> Attempt:
    """PGD down ``core.dense.standing``: the mean score of tumour cells falls, that of the others rises.

    The cross-entropy, which attacks climb, also rises where normal cells are called tumour and tumour all the more.
    Give it the goal ``keep="last"``, as the best by cross-entropy is another one.

    Args:
        target, batch, budget: as for every attack; a heat map.
        rng: draws the start, uniform in the ball.
        steps: gradient steps.
    """

    def slope(rows: Tensor, step: int) -> Callable[[Tensor], Tensor]:
        truth, _ = target.sides(rows)
        return lambda logits: downhill(logits, truth)

    return ascend(target, batch, budget, climb=Climb(steps, start=rng, slope=slope))


def hidden(probe: Probe, budget: str, steps: int) -> Tensor:
    """Where ``hide`` turns the maps round, bool ``[N]``: tumour lies as far below the other cells as it lay above.

    That it no longer stands out would not do: of maps of chance images every second one has that.
    """
    if not probe.count:
        return torch.zeros(0, dtype=torch.bool)
    before = standing(probe.logits(probe.batch.images), probe.batch.targets)
    return probe.left_standing(hide, budget, steps=steps, keep="last") <= -before


def downhill(logits: Tensor, truth: Tensor) -> Tensor:
    """The gradient of ``-core.dense.standing`` on the logits ``[N, 2, h, w]`` of maps with these truths."""
    tumour, normal = (truth == 1).to(logits), (truth == 0).to(logits)
    each = [part / part.flatten(1).sum(1).clamp_min(1).view(-1, 1, 1) for part in (tumour, normal)]
    push = each[1] - each[0]
    return torch.stack([-push, push], 1)
