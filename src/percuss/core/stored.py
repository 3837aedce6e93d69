"""What is left of a change once the image is saved: rounded to its native levels, within the same budget."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from percuss.core.budget import Budget, Norm
from percuss.core.images import PixelRange
from percuss.core.norms import distance


def as_stored(clean: Tensor, attacked: Tensor, budget: Budget, pixels: PixelRange) -> Tensor:
    """The attacked images as a file of the native depth would hold them, ``[N, C, H, W]`` in [0, 1].

    Each value goes to the nearest level, ties towards the clean image, and never beyond the budget: linf
    keeps whole levels below eps; l2 and l1 take back the most rounded-up values, one level each, until the
    image fits; l0 and none need nothing. A clean value that is itself a level stays exactly as it was.
    """
    levels = pixels.levels
    start = (clean.double() * levels).round()
    wanted = attacked.double() * levels - start
    tie = 0.5 + levels * 2.0**-23  # float32 cannot hold half a level exactly
    moved = wanted.sign() * (wanted.abs() - tie).ceil().clamp_min(0)
    eps = budget.eps(clean.shape[1:], pixels)
    if budget.norm is Norm.LINF:
        most = math.floor(eps * levels + 1e-6)
        moved = moved.clamp(-most, most)
    elif budget.norm in (Norm.L2, Norm.L1):
        moved = _take_back(moved, wanted, budget.norm, eps * levels)
    values = ((start + moved).clamp(0, levels) / levels).to(clean.dtype)
    return torch.where(moved == 0, clean, values)


def _take_back(moved: Tensor, wanted: Tensor, norm: Norm, size: float) -> Tensor:
    """Move values one level towards clean, the most rounded-up first, in each image that is too far out."""
    limit = size * (1 + 1e-9)
    result = moved.clone()
    for i in (distance(norm, moved) > limit).nonzero().flatten().tolist():
        row, goal = result[i].flatten(), wanted[i].flatten()
        while float(distance(norm, row.view(1, -1))) > limit:
            cost = row.square() if norm is Norm.L2 else row.abs()
            smaller = row - row.sign()
            saved = cost - (smaller.square() if norm is Norm.L2 else smaller.abs())
            over = torch.where(row == 0, -torch.inf, row.abs() - goal.abs())
            order = over.argsort(descending=True, stable=True)
            excess = float(cost.sum()) - (limit**2 if norm is Norm.L2 else limit)
            count = int((saved[order].cumsum(0) < excess).sum()) + 1
            chosen = order[:count][over[order[:count]] > -torch.inf]
            row[chosen] = smaller[chosen]
        result[i] = row.view_as(result[i])
    return result
