"""Losses over the pixels of a segmenter's answer, each as its slope on the logits or as a value, per image.

All work on logits ``[n, classes, H, W]`` and truths ``[n, H, W]`` (``core.dense``), in float64; pixels without a
judgement count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from percuss.core.dense import IGNORE, cross_entropy, direction, everywhere, one_hot

Slope = Callable[[Tensor], Tensor]


def towards(truth: Tensor, wanted: int) -> Slope:
    """Down the summed cross-entropy to the map that shows one class at all judged pixels."""
    there = everywhere(truth, wanted)
    return lambda logits: -direction(logits, there)


def segpgd(truth: Tensor, goal: Tensor | None, *, share: float) -> Slope:
    """Pixels that are not yet as wanted weigh ``1 - share``, the others ``share`` (Gu et al. 2022, equation 5)."""

    def uphill(logits: Tensor) -> Tensor:
        decided = logits.max(1).indices
        there = decided != truth if goal is None else decided == goal
        weight = torch.where(there, share, 1 - share)
        return direction(logits, truth if goal is None else goal, weight=weight)

    return _turned(goal, uphill)


def cospgd(truth: Tensor, goal: Tensor | None) -> Slope:
    """Pixels weigh by how near the answer is to what it should leave (Agnihotri et al. 2024, equations 4 and 5).

    The nearness is the cosine between the softmax and the one-hot truth; with a goal, 1 minus that to the goal.
    """

    def uphill(logits: Tensor) -> Tensor:
        chance, to = logits.double().softmax(1), truth if goal is None else goal
        own = _chosen(chance, to)
        near = own / chance.norm(dim=1)
        return direction(logits, to, weight=near if goal is None else 1 - near)

    return _turned(goal, uphill)


def _turned(goal: Tensor | None, uphill: Slope) -> Slope:
    return uphill if goal is None else lambda logits: -uphill(logits)


def mean_absolute_error(values: Tensor, truth: Tensor) -> Tensor:
    """Mean over judged pixels and classes of ``|one hot - softmax|``, ``[n]``; differentiable."""
    own = _chosen(values.softmax(1), truth)
    return _mean(2 * (1 - own) / values.shape[1], truth != IGNORE)  # the true class lacks what the others have


def masked_cross_entropy(values: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of the pixels that are still right, over all judged ones (Croce, Singh and Hein 2024)."""
    right = (values.max(1).indices == truth) & (truth != IGNORE)
    each = -_chosen(log_softmax(values, 1), truth)
    return (each * right).flatten(1).sum(1) / (truth != IGNORE).flatten(1).sum(1).clamp_min(1)


def balanced_cross_entropy(values: Tensor, truth: Tensor) -> Tensor:
    """The same, each class of the truth weighing alike (the loss of that paper against the mean over classes)."""
    hot, judged = one_hot(truth, values.shape[1])
    right = (values.max(1).indices == truth) & judged
    hot = hot & judged.unsqueeze(1)
    size = hot.flatten(2).sum(2).double()
    weight = (hot / size.clamp_min(1).unsqueeze(-1).unsqueeze(-1)).sum(1)
    each = -_chosen(log_softmax(values, 1), truth)
    return (each * right * weight).flatten(1).sum(1) / (size > 0).sum(1).clamp_min(1)


def divergence(values: Tensor, truth: Tensor) -> Tensor:
    """Jensen-Shannon divergence between softmax and one-hot truth, mean over judged pixels (the same paper)."""
    chance = values.softmax(1)
    own = _chosen(chance, truth)
    # With one-hot y the terms of the other classes are p log 2, and those of the own class are as below.
    middle = (own + 1) / 2
    each = (1 - own) * torch.log(torch.tensor(2.0, dtype=values.dtype)) + own * (own.clamp_min(1e-300) / middle).log()
    return _mean((each - middle.log()) / 2, truth != IGNORE)


def soft_dice(values: Tensor, truth: Tensor) -> Tensor:
    """1 minus the Dice coefficient with probabilities for decisions, mean over the truth's classes but background.

    Where the truth holds the background alone: the mean probability of anything else.
    """
    hot, judged = one_hot(truth, values.shape[1])
    hot = hot & judged.unsqueeze(1)
    chance = values.softmax(1) * judged.unsqueeze(1)
    both, true, said = ((a.flatten(2).sum(2)) for a in (chance * hot, hot.to(values), chance))
    here = true[:, 1:] > 0
    dice = (2 * both / (true + said).clamp_min(1e-12))[:, 1:]
    mean = (dice * here).sum(1) / here.sum(1).clamp_min(1)
    empty = both[:, 0] / true[:, 0].clamp_min(1)
    return 1 - torch.where(here.any(1), mean, empty)


#: Losses that rise as a segmentation gets worse, by name.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ce": cross_entropy,
    "masked": masked_cross_entropy,
    "balanced": balanced_cross_entropy,
    "js": divergence,
    "dice": soft_dice,
}


def _chosen(values: Tensor, truth: Tensor) -> Tensor:
    index = truth.long().masked_fill(truth == IGNORE, 0).unsqueeze(1)
    return values.gather(1, index).squeeze(1)


def _mean(each: Tensor, judged: Tensor) -> Tensor:
    return (each * judged).flatten(1).sum(1) / judged.flatten(1).sum(1).clamp_min(1)
