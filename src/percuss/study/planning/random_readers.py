"""Power where readers are a random sample of readers: few of them leave few degrees of freedom.

The mean of the crossed design is held against Student's t with the expected degrees of freedom of S. L. Hillis,
Statistics in Medicine 26 (2007) 596-619; its power is that of the non-central t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import nct, t


@dataclass(frozen=True)
class Crossed:
    """Readers who all read every case: how many (2 or more), and the correlations of answers on a case, of a reader."""

    readers: int
    case_share: float
    reader_share: float

    def worth(self, cases: int) -> float:
        """Independent answers that all answers on so many cases are worth."""
        effect = 1 + (self.readers - 1) * self.case_share + (cases - 1) * self.reader_share
        return cases * self.readers / effect

    def freedom(self, cases: int) -> float:
        """Expected degrees of freedom of the mean's variance: readers less 1 in endless cases, more in few."""
        reader_square = 1 - self.case_share - self.reader_share + cases * self.reader_share
        both = reader_square + self.readers * self.case_share
        return (both / reader_square) ** 2 * (self.readers - 1)


def crossed_power(gap: float, variances: tuple[float, float], *, alpha: float, crossed: Crossed, cases: int) -> float:
    """Power to reject a mean that lies ``gap`` away from the true one.

    Args:
        gap: distance of the hypothesis from the truth, above 0.
        variances: of one answer as the test takes it under the hypothesis, and under the truth.
        alpha: one-sided.
        crossed: the readers.
        cases: how many cases each reads.
    """
    taken, true = variances
    freedom = crossed.freedom(cases)
    limit = float(t.isf(alpha, freedom)) * math.sqrt(taken / true)
    return float(nct.sf(limit, freedom, gap * math.sqrt(crossed.worth(cases) / true)))
