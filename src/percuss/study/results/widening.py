"""An interval of several readers is never narrower than that of as many answers as they gave are worth.

Readers and cases that are drawn at random cannot make a mean more certain than its answers would be without regard to
readers: answers to one case, and those of one reader, depend on each other in one direction only. The U-statistic's
variance is without bias, but estimated from few readers it is now and then far too small, and its interval is symmetric
where a small loss is not. So neither end lies within Wilson's or Tango's limits of as many independent answers as these
are worth, cases (or patients) being what varies (``statistics.worth``). In simulated studies (2 to 5 readers, 40 to 100
cases, a true loss at the margin of 10 points) the U-statistic alone called 2 to 7 % non-inferior at a nominal 2.5 %;
with the floor 1 to 4 % were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from percuss.core.results import Interval
from percuss.study.statistics.paired_share import score_bounds
from percuss.study.statistics.worth import wilson_bounds

#: What the answers are: 1 and 0; the difference of two such; ratings from 1 to 5; the difference of two such.
Kind = Literal["share", "difference", "rating", "rating difference"]
_ENDS = {"rating": (1.0, 5.0), "rating difference": (-4.0, 4.0)}


def widened(
    found: Interval, answers: Sequence[float], kind: Kind, *, confidence: float = 0.95, worth: float | None = None
) -> Interval:
    """The interval with either end moved out to where independent answers would have it; the method says so.

    Wilson's interval of a share, Tango's of a difference, Student's t of ratings. An interval without bounds, or
    of fewer than two answers, stays as it is.

    Args:
        found: of readers and cases random.
        answers: every single one behind it.
        kind: of answers.
        confidence: of ``found``, two-sided.
        worth: as many independent answers as these count for; None: all of them.
    """
    if found.value is None or found.low is None or found.high is None or len(answers) < 2:
        return found
    low, high, name = _alone((found.value, worth or len(answers)), answers, kind, confidence)
    as_many = f"{len(answers)} independent answers" if worth is None else f"{len(answers)} answers as {worth:.3g}"
    return wider(found, (low, high), f"{as_many} ({name})")


def wider(found: Interval, ends: tuple[float, float], to: str) -> Interval:
    """The interval with either end moved out to these; the method says ``widened to`` what. None stays as it is."""
    if found.low is None or found.high is None or (found.low <= ends[0] and ends[1] <= found.high):
        return found
    low, high, method = min(found.low, ends[0]), max(found.high, ends[1]), f"{found.method}; widened to {to}"
    return found.model_copy(update={"low": low, "high": high, "method": method})


def p_alone(answers: Sequence[float], kind: Kind, *, worth: float | None = None) -> float:
    """Two-sided p value of a mean of 0 among independent answers: of the test that ``widened`` inverts.

    A p value of readers and cases random below this one is no more to be believed than a narrower interval.
    """
    values, less = np.asarray(answers, dtype=np.float64), (worth or len(answers)) / len(answers)
    if kind == "difference":
        square = float((values**2).sum())
        return float(2 * norm.sf(abs(float(values.sum())) * math.sqrt(less / square))) if square > 0 else 1.0
    error = float(values.std(ddof=1)) / math.sqrt(len(values) * less) if len(values) > 1 else 0.0
    return float(2 * student.sf(abs(float(values.mean())) / error, len(values) - 1)) if error > 0 else 0.0


def _alone(
    given: tuple[float, float], answers: Sequence[float], kind: Kind, confidence: float
) -> tuple[float, float, str]:
    """Limits of the value in as many answers (``given``), and what they are called."""
    values, (value, n) = np.asarray(answers, dtype=np.float64), given
    part = n / len(values)
    if kind == "share":
        return *wilson_bounds(value, n, confidence=confidence), "Wilson"
    if kind == "difference":
        ahead, behind = float(np.maximum(values, 0).sum()), float(np.maximum(-values, 0).sum())
        return *score_bounds(ahead * part, behind * part, n, confidence=confidence), "Tango"
    half = float(student.ppf(0.5 + confidence / 2, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    least, most = _ENDS[kind]
    return max(least, value - half), min(most, value + half), "Student's t"
