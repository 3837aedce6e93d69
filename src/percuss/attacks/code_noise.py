"""Random noise on the active units of a code, rebuilt and brought to the L2 budget: the control of attacks on codes."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from percuss.attacks import codes
from percuss.attacks.target import Attempt, Batch, Target
from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.latent import Coder
from percuss.core.seeds import ImageRandom

TASKS = ("heatmap",)
NORMS = (Norm.L2,)
#: What the attacked network must be; the contract tests give it one.
NEEDS = Coder


def code_noise(
    target: Target, batch: Batch, budget: Budget, *, rng: ImageRandom, draws: int = 10, spread: float = 0.1
) -> Attempt:
    """The best of some random changes of the active units, each at the full size in the image.

    Args:
        target, batch, budget: as for every attack; a network with a code, l2 alone.
        rng: draws normal noise, per image.
        draws: how many changes are tried, at least 1.
        spread: standard deviation of the noise over the root mean square of the image's active units.
    """
    codes.only_l2(budget, "code_noise")
    codes.counted("draws", draws)
    if not spread > 0:
        raise AttackError("the setting spread is too small", value=spread, allowed="above 0")
    codes.coder_of(target, "code_noise")
    rows = {row: rng.subset([row]) for row in range(len(batch.images))}
    way = partial(_shaken, rows=rows, spread=spread)
    found, _ = codes.search(target, batch, budget, ways=[way] * draws, ids=rng.ids)
    return found


code_noise.on_own_model = True  # type: ignore[attr-defined]


def _shaken(coded: codes.Coded, *, rows: dict[int, ImageRandom], spread: float) -> Tensor:
    """The values with noise on each, of each image as many draws as it has of them."""
    pairs = zip(coded.rows.tolist(), coded.count.tolist(), strict=True)
    draw = torch.cat([rows[row].normal((count,))[0] for row, count in pairs]).to(coded.values)
    size = spread * coded.mean(coded.values.double().square()).sqrt().to(draw)
    return torch.maximum(coded.values + size[coded.owner] * draw, coded.lowest)
