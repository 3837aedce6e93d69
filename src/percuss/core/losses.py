"""What an attack climbs: directions on the logits, margins and cross-entropy, per image, for every task.

Tasks: softmax over K >= 2 classes, one logit for two classes, several labels (one logit each, threshold 0), a class for
every pixel or cell (``core.dense``).
``goal`` is None for "anything wrong", else the decision wanted: class indices ``[N]``, 0/1 labels ``[N, K]`` or maps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.core import dense
from percuss.core.images import DENSE, Task
from percuss.core.model import confidence, decide, is_right, wide_logits


def direction(logits: Tensor, targets: Tensor, task: Task, *, goal: Tensor | None = None) -> Tensor:
    """Direction on the logits ``[N, outputs]`` along which the loss rises.

    It is the gradient of the cross-entropy of the true class divided by ``1 - p(true)`` (of the log
    probability of the goal likewise): the same direction, but never underflowing, however sure the model.
    For one logit it is +-1; for several labels the wrong way of the label nearest to a change (with a goal:
    every label's wanted way, weighted towards the one furthest from it). For maps it is the gradient of the summed
    cross-entropy, each image in its own scale. Computed in float64.
    """
    away = targets if goal is None else goal
    turn = 1.0 if goal is None else -1.0
    if task in DENSE:
        return turn * dense.direction(logits, away)
    values = logits.detach().double()
    if task == "multilabel":
        signs = away.to(values) * 2 - 1
        gaps = -signs * values
        weights = gaps.softmax(1)
        if goal is None:  # the label nearest to a change stays the nearest, so all effort may go to it
            weights = torch.nn.functional.one_hot(gaps.argmax(1), gaps.shape[1]).to(values)
        found = -signs * weights
    elif logits.shape[1] == 1:
        found = (1 - 2 * away.to(values)).unsqueeze(1)
    else:
        own = torch.nn.functional.one_hot(away, values.shape[1]).bool()
        found = values.masked_fill(own, -torch.inf).softmax(1) - own.to(values)
    return (turn * found).to(logits.dtype)


def margin(logits: Tensor, targets: Tensor, task: Task, *, goal: Tensor | None = None) -> Tensor:
    """Best wrong minus true logit, float64 ``[N]``; with a goal, goal minus best other. Above 0 is flipped.

    Several labels: the largest logit on the wrong side; with a goal, the smallest on the wanted side. Maps: the bar
    minus the quality; with a goal, the share of pixels that show it minus the share wanted.
    """
    away = targets if goal is None else goal
    if task in DENSE:
        found = decide(logits, task)
        if goal is not None:
            return dense.agreement(found, goal) - dense.REACHED
        return dense.BAR - dense.quality(found, targets, logits.shape[1])
    values = wide_logits(logits.detach()).double() if task == "classify" else logits.detach().double()
    if task == "multilabel":
        gap = (-(away.to(values) * 2 - 1) * values).max(1).values
    else:
        own = torch.nn.functional.one_hot(away, values.shape[1]).bool()
        gap = values.masked_fill(own, -torch.inf).max(1).values - values[own]
    return gap if goal is None else -gap


def cross_entropy(logits: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Cross-entropy of each image, float64 ``[N]``; several labels, pixels: the mean over them."""
    if task in DENSE:
        return dense.cross_entropy(logits, targets)
    if task == "multilabel":
        values = logits.double()
        each = torch.nn.functional.binary_cross_entropy_with_logits(values, targets.to(values), reduction="none")
        return each.mean(1)
    return torch.nn.functional.cross_entropy(wide_logits(logits).double(), targets, reduction="none")


def flipped(
    logits: Tensor, targets: Tensor, task: Task, *, goal: Tensor | None = None, sure: float | None = None
) -> Tensor:
    """Whether each decision is what the attack wants, bool ``[N]``: wrong, or the goal; at least ``sure`` if given."""
    if task in DENSE:
        wanted = margin(logits, targets, task, goal=goal) > 0
    else:
        wanted = ~is_right(logits, targets, task) if goal is None else is_right(logits, goal, task)
    return wanted if sure is None else wanted & (confidence(logits, task) >= sure)
