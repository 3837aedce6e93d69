"""Two shares on the same cases: their difference with a score interval, McNemar's test, and non-inferiority.

Intervals: T. Tango, Statistics in Medicine 17 (1998) 891-908 (the score test inverted), and R. G. Newcombe, Statistics
in Medicine 17 (1998) 2635-2650, method 10 (Wilson's limits of both shares, joined with their correlation). Both hold
for few cases and few changes of mind, where Wald's interval does not. Cases count as independent: answers of several
readers to one case do not belong in one table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm

from percuss.core.errors import UsageError
from percuss.core.results import Interval
from percuss.study.statistics.worth import wilson_bounds

Verdict = Literal["non-inferior", "inferior", "not shown"]


@dataclass(frozen=True)
class PairedTable:
    """Cases by what happened to each under two conditions, the first being the reference (such as the original).

    Attributes:
        both, first_only, second_only, neither: cases with the flag (such as a right answer) under both conditions,
            under one alone, and under none; none below 0 (else UsageError).
    """

    both: int
    first_only: int
    second_only: int
    neither: int

    def __post_init__(self) -> None:
        if min(self.both, self.first_only, self.second_only, self.neither) < 0:
            raise UsageError("a paired table holds counts", value=self, allowed="0 and above")

    @classmethod
    def of(cls, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTable:
        """From one flag per case ``[N]`` and condition, in the same order; UsageError where the numbers differ."""
        if len(first) != len(second):
            value = f"{len(first)} and {len(second)} cases"
            raise UsageError("a paired table needs the same cases under both conditions", value=value)
        one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
        return cls(*(int(cell.sum()) for cell in (one & two, one & ~two, ~one & two, ~one & ~two)))

    @property
    def n(self) -> int:
        """All cases."""
        return self.both + self.first_only + self.second_only + self.neither


@dataclass(frozen=True)
class NonInferiority:
    """Whether the second condition loses less than the margin against the first.

    Attributes:
        margin: the largest loss that does not matter, in (0, 1), fixed before the study.
        bound: the upper limit of the loss, which is held against the margin; None where there is none.
        verdict: ``non-inferior`` where the whole interval lies below the margin, ``inferior`` where it lies above,
            else ``not shown``: the study leaves both open.
    """

    margin: float
    bound: float | None
    verdict: Verdict


def tango(table: PairedTable, *, confidence: float = 0.95) -> Interval:
    """Share under the first condition minus share under the second, in [-1, 1], with Tango's score interval.

    Args:
        table: the cases.
        confidence: two-sided, in (0, 1); else UsageError. No value and no bounds where there is no case.
    """
    _quantile(confidence)
    if table.n == 0:
        return _undefined()
    low, high = score_bounds(table.first_only, table.second_only, table.n, confidence=confidence)
    return _interval(table, low, high, f"Tango score, paired{_level(confidence)}")


def score_bounds(ahead: float, behind: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's limits where counts need not be whole, as of cases that were read several times and count once.

    Args:
        ahead, behind: cases with the flag under the first condition alone, and under the second alone; 0 and above.
        n: all cases, above 0 and not below their sum.
        confidence: as for ``tango``.
    """
    z = _quantile(confidence)
    # The problem is symmetric: the upper limit is the lower one with the conditions exchanged.
    return max(-1.0, _tango_low(ahead, behind, n, z)), min(1.0, -_tango_low(behind, ahead, n, z))


def newcombe(table: PairedTable, *, confidence: float = 0.95) -> Interval:
    """Share under the first condition minus share under the second, with Newcombe's hybrid score interval.

    Args:
        table: the cases.
        confidence: two-sided, in (0, 1); else UsageError. No value and no bounds where there is no case.
    """
    _quantile(confidence)
    if table.n == 0:
        return _undefined()
    cells = (table.both, table.first_only, table.second_only, table.neither)
    low, high = hybrid_bounds(cells, confidence=confidence)
    return _interval(table, low, high, f"Newcombe hybrid score, paired{_level(confidence)}")


def hybrid_bounds(cells: tuple[float, float, float, float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Newcombe's limits where counts need not be whole, as of cases that were read several times and count once.

    Args:
        cells: as ``PairedTable`` has them, 0 and above, of which one is above 0.
        confidence: as for ``newcombe``.
    """
    _quantile(confidence)
    n = sum(cells)
    one, two = (cells[0] + cells[1]) / n, (cells[0] + cells[2]) / n
    (low1, high1), (low2, high2) = (wilson_bounds(share, n, confidence=confidence) for share in (one, two))
    phi = _phi(cells)
    down = _joined(one - low1, high2 - two, phi)
    up = _joined(high1 - one, two - low2, phi)
    return max(-1.0, one - two - down), min(1.0, one - two + up)


def mcnemar(table: PairedTable, *, mid_p: bool = False) -> float:
    """Two-sided p-value that both conditions have the same share; 1 where no case changes.

    Exact given the number of changes (Q. McNemar, Psychometrika 12 (1947) 153-157, by the binomial), or its mid-p
    version, which counts half of the observed outcome and is less conservative (M. W. Fagerland, S. Lydersen,
    P. Laake, BMC Medical Research Methodology 13 (2013) 91).
    """
    changed, fewer = table.first_only + table.second_only, min(table.first_only, table.second_only)
    if changed == 0:
        return 1.0
    tail = 2 * float(binom.cdf(fewer, changed, 0.5))
    return min(1.0, tail - float(binom.pmf(fewer, changed, 0.5)) if mid_p else tail)


def non_inferiority(loss: Interval, margin: float) -> NonInferiority:
    """Hold the interval of a loss (reference minus other, so that above 0 is worse) against a margin.

    With a two-sided 95 % interval the test is one-sided at 2.5 %. A bound that meets the margin exactly shows nothing.

    Args:
        loss: as ``tango`` and ``newcombe`` give it.
        margin: in (0, 1); else UsageError.
    """
    if not 0 < margin < 1:
        raise UsageError("the margin of non-inferiority is a share", value=margin, allowed="above 0 and below 1")
    verdict: Verdict = "not shown"
    if loss.high is not None and loss.high < margin:
        verdict = "non-inferior"
    elif loss.low is not None and loss.low > margin:
        verdict = "inferior"
    return NonInferiority(margin, loss.high, verdict)


def _tango_low(ahead: float, behind: float, n: float, z: float) -> float:
    """The difference below the estimate at which the score statistic equals ``z``."""
    estimate = (ahead - behind) / n

    def excess(delta: float) -> float:
        linear = (2 * n - ahead + behind) * delta - ahead - behind
        root = math.sqrt(max(0.0, linear**2 + 8 * n * behind * delta * (1 - delta)))
        # The share of "second only" that is likeliest where the difference is delta.
        share = (root - linear) / (4 * n)
        return ahead - behind - n * delta - z * math.sqrt(max(0.0, n * (2 * share + delta * (1 - delta))))

    if behind >= n:
        return -1.0
    # At the estimate itself the variance may be 0, which would pass for a root.
    return float(brentq(excess, -1.0, estimate - 1e-12, xtol=1e-13))


def _phi(cells: tuple[float, float, float, float]) -> float:
    """Correlation of the two conditions, pulled towards 0 by n/2 where positive, as Newcombe's method 10 has it."""
    a, b, c, d = cells
    scale = (a + b) * (c + d) * (a + c) * (b + d)
    if scale == 0:
        return 0.0
    cross = a * d - b * c
    if cross > 0:
        cross = max(0.0, cross - sum(cells) / 2)
    return cross / math.sqrt(scale)


def _joined(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first**2 - 2 * phi * first * second + second**2))


def _interval(table: PairedTable, low: float, high: float, method: str) -> Interval:
    value = (table.first_only - table.second_only) / table.n
    return Interval(value=value, low=max(-1.0, low), high=min(1.0, high), n=table.n, method=method)


def _undefined() -> Interval:
    return Interval(value=None, low=None, high=None, n=0, method="undefined: no case")


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UsageError("a confidence is a share", value=confidence, allowed="above 0 and below 1, such as 0.95")
    return float(norm.ppf(0.5 + confidence / 2))


def _level(confidence: float) -> str:
    return "" if confidence == 0.95 else f", {100 * confidence:g} % interval"
