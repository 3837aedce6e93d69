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
    way = partial(_shaken, rng=rng, spread=spread)
    found, _ = codes.search(target, batch, budget, ways=[way] * draws, ids=rng.ids)
    return found


code_noise.on_own_model = True  # type: ignore[attr-defined]


def _shaken(coded: codes.Coded, *, rng: ImageRandom, spread: float) -> Tensor:
    """The codes with noise on their active units, of each image as many draws as it has of them."""
    code = coded.code.clone()
    for i, row in enumerate(coded.rows.tolist()):
        values = code[i][coded.active[i]]
        size = spread * values.double().square().mean().sqrt().to(values)
        draw = rng.subset([row]).normal(values.shape)[0].to(values)
        code[i] = code[i].masked_scatter(coded.active[i], values + size * draw)
    return torch.maximum(code, codes.lowest(coded.code))
