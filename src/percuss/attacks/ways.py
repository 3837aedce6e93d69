"""The ways an image can be wrong, as differences of logits: how far each is, and the slope that closes it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from percuss.attacks.target import Target
from percuss.core.model import wide_logits


def margin_slope(target: Target, rows: Tensor) -> Callable[[Tensor], Tensor]:
    """For ``Target.gradient``: the gradient on the logits of ``Target.margin`` of these rows, in its true scale."""

    def uphill(logits: Tensor) -> Tensor:
        truth, goal = target.sides(rows)
        turn = 1.0 if goal is None else -1.0
        ways, gaps = _all_ways(target, logits, truth if goal is None else goal)
        chosen = gaps.argmax(1)
        return turn * ways[torch.arange(len(chosen), device=chosen.device), chosen]

    return uphill


def likeliest(target: Target, logits: Tensor, rows: Tensor, *, most: int) -> list[tuple[Tensor, Tensor]]:
    """The nearest ways to be wrong by these logits, nearest first: slopes ``[n, outputs]`` and gaps ``[n]``.

    A gap is below 0 until its way is open. With a goal in view there is one way: its margin.
    """
    truth, goal = target.sides(rows)
    if goal is not None:
        return [(margin_slope(target, rows)(logits), target.margin(logits, rows))]
    ways, gaps = _all_ways(target, logits, truth)
    count = min(most, int(gaps.isfinite().sum(1).min())) if len(gaps) else 1
    found = gaps.topk(count, dim=1)
    index = torch.arange(len(gaps), device=gaps.device)
    return [(ways[index, found.indices[:, i]], found.values[:, i]) for i in range(count)]


def _all_ways(target: Target, logits: Tensor, away: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes ``[n, ways, outputs]`` and gaps, float64 ``[n, ways]``: -inf for the way to stay as it is."""
    count, outputs = logits.shape
    if target.model.task == "multilabel":
        signs = away.to(logits) * 2 - 1
        return torch.diag_embed(-signs), (-signs * logits).double()
    values = wide_logits(logits).double()
    own = torch.nn.functional.one_hot(away, values.shape[1])
    each = torch.eye(values.shape[1], device=logits.device, dtype=torch.long)
    slopes = (each.unsqueeze(0) - own.unsqueeze(1)).to(logits)
    gaps = (values - values.gather(1, away.unsqueeze(1))).masked_fill(own.bool(), -torch.inf)
    if outputs == 1:  # the second column of the wide logits is the logit itself
        slopes = slopes[:, :, 1:]
    return slopes.expand(count, -1, -1), gaps
