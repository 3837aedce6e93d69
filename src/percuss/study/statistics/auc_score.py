"""An AUC's interval that rests on no estimated variance: of one arm by its score, of two arms' difference joined.

One arm: R. G. Newcombe, Statistics in Medicine 25 (2006) 559-573, method 5: the score interval from the variance of
J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29-36, taken at each end, with both classes of their mean size. It has
a width at an AUC of 0 or 1 too. Difference: both arms' intervals joined with their correlation (G. Y. Zou, A. Donner,
Statistics in Medicine 27 (2008) 1693-1702), as Newcombe joins two shares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.stats import norm

from percuss.core.errors import UsageError


@dataclass(frozen=True)
class Pairs:
    """What an AUC is of.

    Attributes:
        negatives, positives: cases of each class, 1 or more (else UsageError); need not be whole.
        sets: independent sets of answers to so many cases that the AUC is the mean of, 1 or more (else UsageError).
    """

    negatives: float
    positives: float
    sets: float = 1.0

    def __post_init__(self) -> None:
        if min(self.negatives, self.positives, self.sets) < 1:
            raise UsageError("an AUC needs cases of each class", value=self, allowed="1 and above")

    def variance(self, auc: float) -> float:
        """Hanley and McNeil's variance of an AUC whose true value is ``auc``, in [0, 1]."""
        near = (self.negatives + self.positives) / 2 - 1
        spread = 1 + near * (1 - auc) / (2 - auc) + near * auc / (1 + auc)
        return auc * (1 - auc) * spread / (self.negatives * self.positives * self.sets)


def auc_bounds(auc: float, pairs: Pairs, *, confidence: float = 0.95) -> tuple[float, float]:
    """Newcombe's limits of an AUC in [0, 1].

    Args:
        auc: as observed.
        pairs: the cases behind it.
        confidence: two-sided, in (0, 1).
    """
    # The kind is symmetric: the upper limit is the lower one of the AUC turned round.
    z = float(norm.ppf(0.5 + confidence / 2))
    return _lower(auc, pairs, z), 1 - _lower(1 - auc, pairs, z)


def joined_bounds(
    first: tuple[float, float, float], second: tuple[float, float, float], *, correlation: float = 0.0
) -> tuple[float, float]:
    """Limits of the first number minus the second from both numbers' own, each as value, lower and upper limit.

    Args:
        first, second: value, low, high.
        correlation: of the two estimates, in [-1, 1]; 0 gives the widest of those that are not negative.
    """
    (one, low1, high1), (two, low2, high2) = first, second
    down = _root(one - low1, high2 - two, correlation)
    up = _root(high1 - one, two - low2, correlation)
    return max(-1.0, one - two - down), min(1.0, one - two + up)


def _lower(auc: float, pairs: Pairs, z: float) -> float:
    if auc <= 0:
        return 0.0

    def excess(true: float) -> float:
        return auc - true - z * math.sqrt(pairs.variance(true))

    # Next to the observed value the variance may be 0, at an AUC of 1, which would pass for a root.
    end = auc - 1e-12
    return float(brentq(excess, 0.0, end, xtol=1e-13)) if excess(end) < 0 else auc


def _root(first: float, second: float, correlation: float) -> float:
    return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))
