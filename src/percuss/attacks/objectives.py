"""Losses to climb beside the built-in direction, by name, per image and for every task.

``up`` and ``down`` are the classes whose order is to be turned round. All in float64, as differences of logits or of
logarithms, so that none saturates however sure the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from percuss.attacks import pixels
from percuss.attacks.target import Target
from percuss.core.errors import AttackError
from percuss.core.images import DENSE
from percuss.core.model import wide_logits

LOSSES = ("ce", "margin", "dlr", "targeted")


class Objective:
    """One loss on the logits of a target's rows.

    Args:
        target: whose truths and goal count.
        loss: one of ``LOSSES``; for the task segment one of ``pixels.LOSSES``.
        ways: for ``targeted``, the class to reach (several labels: the label to flip) of each image of the batch.

    Raises:
        AttackError: an unknown loss, or one that has no meaning for the task, the classes or the goal.
    """

    def __init__(self, target: Target, loss: str, ways: Tensor | None = None) -> None:
        _check(target, loss)
        self._target, self._loss, self._ways = target, loss, ways

    def value(self, logits: Tensor, rows: Tensor) -> Tensor:
        """The loss of each row, float64 ``[n]``; it rises towards the goal. Differentiable."""
        truth, goal = self._target.sides(rows)
        way = None if self._ways is None else self._ways[rows]
        if self._target.model.task in DENSE:
            found = pixels.LOSSES[self._loss](logits.double(), truth if goal is None else goal)
            return found if goal is None else -found
        if self._target.model.task == "multilabel":
            return _labels(logits.double(), truth, goal, way)
        values = wide_logits(logits).double()
        if self._loss == "ce":
            return _log_odds(values, truth) if goal is None else -_log_odds(values, goal)
        if way is not None:
            return _gap(values, way, truth) / (_spread(values, 2) if values.shape[1] >= 4 else 1.0)
        best = _others(values, truth if goal is None else goal).argmax(1)
        up, down = (best, truth) if goal is None else (goal, best)
        if self._loss == "margin":
            return _probability_margin(values, up, down)
        return _gap(values, up, down) / _spread(values, 1 if goal is None else 2)

    def slope(self, rows: Tensor) -> Callable[[Tensor], Tensor]:
        """For ``Target.gradient``: the direction on the logits of these rows, largest value 1."""

        def uphill(logits: Tensor) -> Tensor:
            with torch.enable_grad():
                point = logits.detach().double().requires_grad_(True)
                (found,) = torch.autograd.grad(self.value(point, rows).sum(), point)
            peak = found.abs().amax(tuple(range(1, found.dim())), keepdim=True)
            return (found / torch.where(peak > 0, peak, torch.ones_like(peak))).to(logits.dtype)

        return uphill


def ordered_ways(target: Target, logits: Tensor, rows: Tensor, *, most: int) -> Tensor:
    """The likeliest ways to be wrong by the clean logits, ``[n, min(most, ways)]``: other classes, or labels."""
    truth, _ = target.sides(rows)
    values = wide_logits(logits).double() if target.model.task == "classify" else logits.double()
    if target.model.task == "multilabel":
        return _wrong_sides(values, truth).topk(min(most, values.shape[1]), dim=1).indices
    return _others(values, truth).topk(min(most, values.shape[1] - 1), dim=1).indices


def _check(target: Target, loss: str) -> None:
    known = tuple(pixels.LOSSES) if target.model.task in DENSE else LOSSES
    if loss not in known:
        raise AttackError("unknown value of the setting loss", value=loss, allowed=", ".join(known))
    least = 3 if target.goal.target is None else 4  # below, the ratio is constant where the goal comes last
    if loss == "dlr" and (target.model.task == "multilabel" or len(target.model.classes) < least):
        task = "several labels" if target.model.task == "multilabel" else f"{len(target.model.classes)} classes"
        raise AttackError(
            f"the loss dlr needs {least} or more classes" + (" with the setting target" if least == 4 else ""),
            value=task,
            next_step="use the loss margin",
        )
    if loss == "targeted" and target.goal.target is not None:
        raise AttackError(
            "the loss targeted tries other classes in turn, so it takes no setting target",
            value=target.goal.target,
            next_step="use the loss margin, ce or dlr with the setting target",
        )


def _own(values: Tensor, classes: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(classes, values.shape[1]).bool()


def _others(values: Tensor, classes: Tensor) -> Tensor:
    return values.masked_fill(_own(values, classes), -torch.inf)


def _gap(values: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return (values.gather(1, up.unsqueeze(1)) - values.gather(1, down.unsqueeze(1))).squeeze(1)


def _log_odds(values: Tensor, away: Tensor) -> Tensor:
    """Log odds against a class: it rises as the cross-entropy does, but never saturates."""
    return _others(values, away).logsumexp(1) - values[_own(values, away)]


def _probability_margin(values: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """``log(1 + p(up) - p(down))``, which rises as the margin of probabilities does (PMA, arXiv 2411.15210)."""
    raised = values + _own(values, up) * math.log(2)
    return raised.masked_fill(_own(values, down), -torch.inf).logsumexp(1) - values.logsumexp(1)


def _spread(values: Tensor, last: int) -> Tensor:
    """Largest logit minus the third, or minus the mean of the third and fourth (``last`` 1 or 2)."""
    top = values.topk(2 + last, dim=1).values
    return (top[:, 0] - top[:, 2:].mean(1)).clamp_min(1e-12)


def _wrong_sides(values: Tensor, truth: Tensor) -> Tensor:
    """How far each label is on the side it should not be, ``[n, labels]``."""
    return (1 - 2 * truth.to(values)) * values


def _labels(values: Tensor, truth: Tensor, goal: Tensor | None, way: Tensor | None) -> Tensor:
    if goal is not None:  # every label has a wanted side; the one furthest from it counts most
        return -_wrong_sides(values, goal).logsumexp(1)
    sides = _wrong_sides(values, truth)
    return sides.amax(1) if way is None else sides.gather(1, way.unsqueeze(1)).squeeze(1)
