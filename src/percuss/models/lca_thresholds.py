"""Thresholds of sparse codes: soft, hard and firm, each with the penalty that it minimises."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from percuss.core.errors import UsageError

Kind = Literal["soft", "hard", "firm"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Threshold:
    """Turns a drive u into a coefficient a >= 0, which minimises (u - a)^2 / 2 + penalty(a).

    ``soft``: u - size above ``size``, else 0; the penalty is size * a (Rozell et al. 2008, the lasso).
    ``hard``: u above ``size``, else 0; the penalty is size^2 / 2 for each coefficient that is not 0.
    ``firm``: 0 up to ``size``, u from ``size + width`` on, a straight line between (Gao and Bruce 1997); the penalty is
    the minimax concave one of Zhang 2010, size * a - a^2 size / (2 (size + width)), level from a = size + width on.

    Args:
        kind: one of the three.
        size: in units of the image's values times an atom of norm 1. At least 0 (soft) or above 0.
        width: of the straight line, firm only, above 0.
    """

    kind: Kind
    size: float
    width: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what has no meaning with a UsageError."""
        if self.kind not in KINDS:
            raise UsageError("unknown threshold", value=self.kind, allowed=", ".join(KINDS))
        least = 0.0 if self.kind == "soft" else math.ulp(0.0)
        if not (math.isfinite(self.size) and self.size >= least):
            allowed = "a number of at least 0" if self.kind == "soft" else "a number above 0"
            raise UsageError(f"the size of a {self.kind} threshold", value=self.size, allowed=allowed)
        if self.kind == "firm" and not (math.isfinite(self.width) and self.width > 0):
            raise UsageError("the width of a firm threshold", value=self.width, allowed="a number above 0")
        if self.kind != "firm" and self.width != 0:
            raise UsageError(f"a {self.kind} threshold has no width", value=self.width, next_step="take firm(...)")

    @property
    def slope(self) -> float:
        """Of the line just above ``size``: 1, or (size + width) / width for a firm threshold."""
        return (self.size + self.width) / self.width if self.kind == "firm" else 1.0

    @property
    def convex(self) -> bool:
        """Whether the energy has one minimum, which every solver reaches: soft only."""
        return self.kind == "soft"

    def apply(self, drive: Tensor) -> Tensor:
        """The coefficients of a drive of any shape, all at least 0."""
        if self.kind == "soft":
            return torch.relu(drive - self.size)
        if self.kind == "hard":
            return torch.where(drive > self.size, drive, torch.zeros_like(drive))
        return torch.minimum(torch.relu(drive - self.size) * self.slope, torch.relu(drive))

    def slopes(self, drive: Tensor) -> Tensor:
        """The derivative of ``apply`` at a drive of any shape: 0 up to ``size``; jumps and kinks are not seen."""
        above = (drive > self.size).to(drive.dtype)
        if self.kind != "firm":
            return above
        return torch.where(drive >= self.size + self.width, above, above * self.slope)

    def bend(self, code: Tensor) -> Tensor:
        """The second derivative of the penalty at active coefficients ``[n]``: 0, or below 0 on a firm one's line."""
        bent = -self.size / (self.size + self.width) if self.kind == "firm" else 0.0
        return torch.where(code < self.size + self.width, bent, 0.0).to(code.dtype)

    def penalty(self, code: Tensor) -> float:
        """The penalty of all coefficients together, summed in float64."""
        if self.kind == "soft":
            return self.size * float(code.sum(dtype=torch.float64))
        if self.kind == "hard":
            return self.size**2 / 2 * int(torch.count_nonzero(code))
        end = self.size + self.width
        inside = code.clamp(max=end).double()
        return float((self.size * inside - inside**2 * (self.size / (2 * end))).sum())


def soft(size: float) -> Threshold:
    """A soft threshold, as in the paper: the code is the non-negative lasso's."""
    return Threshold("soft", size)


def hard(size: float) -> Threshold:
    """A hard threshold: coefficients are not shrunk; the energy has many minima."""
    return Threshold("hard", size)


def firm(size: float, *, width: float) -> Threshold:
    """A firm threshold: large coefficients are not shrunk; between the two others."""
    return Threshold("firm", size, width)


def as_threshold(given: float | Threshold) -> Threshold:
    """A number is the size of a soft threshold; UsageError for what is neither."""
    if isinstance(given, Threshold):
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise UsageError("a threshold is a number or soft, hard, firm(...)", value=repr(given))
    return soft(float(given))
