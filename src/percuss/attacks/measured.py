"""Measures attacked images anew: size, range, decision as float and as stored. Trusts nothing the attack says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.core.budget import Budget, Norm
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange
from percuss.core.losses import margin
from percuss.core.model import Model, is_right
from percuss.core.norms import distance
from percuss.core.stored import as_stored

#: How the words of a breach of the budget begin.
OVER = "left its budget"


@dataclass
class Measured:
    """Attacked images with what the model says of them, all on the CPU, one row per image.

    Attributes:
        images, stored: float and rounded images ``[N, C, H, W]``.
        logits: of the float images ``[N, outputs]``.
        success, success_stored: wrong decision as float and as stored, bool ``[N]``.
        margin: best wrong minus true logit of the float image, float64 ``[N]``.
        score: of an attack with an aim of its own (``attacks.aims``), how far the float image reaches it, float64
            ``[N]``; None for all others.
    """

    images: Tensor
    stored: Tensor
    logits: Tensor
    success: Tensor
    success_stored: Tensor
    margin: Tensor
    score: Tensor | None = None

    def replace(self, rows: Tensor, other: Measured, chosen: Tensor) -> None:
        """Take the ``chosen`` rows of ``other`` into ``rows[chosen]``."""
        for name, values in vars(self).items():
            if values is not None:
                values[rows[chosen]] = getattr(other, name)[chosen]

    def improved_by(self, rows: Tensor, other: Measured, *, by_score: bool = False) -> Tensor:
        """Where ``other`` is nowhere worse than these rows and somewhere better: as stored, as float, in margin.

        With an aim a higher score is better, whatever the margin, and a lower one is not. ``by_score`` lets the score
        alone tell.
        """
        if by_score and self.score is not None and other.score is not None:
            return other.score > self.score[rows]
        old = self.success[rows].long(), self.success_stored[rows].long()
        new = other.success.long(), other.success_stored.long()
        same = (new[0] == old[0]) & (new[1] == old[1])
        better = ~same | (other.margin > self.margin[rows])
        if self.score is not None and other.score is not None:
            score = self.score[rows]
            better = (other.score > score) | ((other.score == score) & better)
        return (new[0] >= old[0]) & (new[1] >= old[1]) & better


def measure(
    model: Model,
    clean: tuple[Tensor, Tensor],
    attacked: Tensor,
    *,
    budget: Budget,
    pixels: PixelRange | None,
    score: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Measured:
    """Measure attacked images against ``clean`` (images, targets), all on the model's device.

    ``score`` tells of logits and targets how far an aim is reached.
    """
    images, targets = clean
    saved = attacked if pixels is None else as_stored(images, attacked, budget, pixels)
    with torch.no_grad():
        logits = model(attacked)
        logits_saved = logits if pixels is None else model(saved)
    return Measured(
        attacked.cpu(),
        saved.cpu(),
        logits.cpu(),
        ~is_right(logits, targets, model.task).cpu(),
        ~is_right(logits_saved, targets, model.task).cpu(),
        margin(logits, targets, model.task).cpu(),
        None if score is None else score(logits, targets).cpu(),
    )


def refuse_breach(clean: Tensor, attacked: Tensor, *, budget: Budget, eps: float, who: tuple[str, list[str]]) -> None:
    """AttackError naming attack and image when an attacked image is outside budget, box or finite numbers."""
    name, ids = who
    if attacked.shape != clean.shape or attacked.dtype != clean.dtype:
        raise AttackError(
            f"the attack {name} returned images of another shape or type",
            value=f"{tuple(attacked.shape)} {attacked.dtype}",
            allowed=f"{tuple(clean.shape)} {clean.dtype}",
        )
    for bad, fault in breaches(clean, attacked, budget=budget, eps=eps):
        _refuse(bad, f"the attack {name} {fault}", ids)


def breaches(clean: Tensor, attacked: Tensor, *, budget: Budget, eps: float) -> list[tuple[Tensor, str]]:
    """What no attacked image may do: for each rule which images break it, bool ``[N]``, and the words for it.

    Each image is listed under the first rule that it breaks: numbers, range, budget.
    """
    bad = ~torch.isfinite(attacked).flatten(1).all(1)
    outside = ~bad & ((attacked.flatten(1).amin(1) < 0) | (attacked.flatten(1).amax(1) > 1))
    found = [(bad, "returned NaN or infinite pixels"), (outside, "left the range of the pixels, 0 to 1")]
    if budget.norm is not Norm.NONE:
        size = distance(budget.norm, attacked.double() - clean.double())
        over = ~bad & ~outside & (size > eps * (1 + 1e-5) + rounding(budget.norm, clean))
        worst = float(size[over].max()) if bool(over.any()) else 0.0
        found.append((over, f"{OVER} {budget.text}: size {worst:.6g}, allowed {eps:.6g}"))
    return found


def rounding(norm: Norm, images: Tensor) -> float:
    """What float32 pixels add to a size: clean plus change rounds each value by at most half of 2**-23."""
    values = images[0].numel() if len(images) else 0
    each = 2.0**-24
    return {Norm.LINF: 2 * each, Norm.L2: each * math.sqrt(values), Norm.L1: each * values}.get(norm, 0.0)


def _refuse(bad: Tensor, thing: str, ids: list[str]) -> None:
    if bool(bad.any()):
        where = bad.nonzero().flatten().tolist()
        raise AttackError(
            thing,
            value=f"image {ids[where[0]]}" + (f" and {len(where) - 1} more" if len(where) > 1 else ""),
            next_step="mend the attack: percuss.testing.attacks.check_attack shows what it breaks",
        )
