"""How well readers tell changed images from unchanged ones: percent correct and d', with intervals.

d' and the criterion: N. A. Macmillan, C. D. Creelman, Detection Theory: A User's Guide, 2nd ed. (2005), chapters 1
(yes/no), 7 (two alternatives) and 9 (same/different). Log-linear correction: M. J. Hautus, Behavior Research Methods,
Instruments & Computers 27 (1995) 46-51. Variance of d': V. Gourevitch, E. Galanter, Psychometrika 32 (1967) 25-33.
Trials count as independent, with equal variance of both kinds of images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr, xlog1py, xlogy
from scipy.stats import chi2, norm

from percuss.core.errors import UsageError
from percuss.core.results import Interval
from percuss.evaluate.intervals import wilson

#: Largest d' looked for: twice what 2AFC shows in a thousand trials without a mistake.
_MOST = 10.0
_DROP = float(chi2.ppf(0.95, 1)) / 2


@dataclass(frozen=True)
class Detection:
    """Answers "changed" to images of both kinds.

    Attributes:
        correct: share of right answers over all trials, Wilson.
        dprime: 0 where both kinds get the same answers, negative where they are mixed up.
        criterion: bias c; above 0 where "changed" is said too seldom.
    """

    correct: Interval
    dprime: Interval
    criterion: Interval


def yes_no(hits: int, changed: int, *, alarms: int, unchanged: int) -> Detection:
    """From hits among the changed images and false alarms among the unchanged ones.

    Both rates are taken with half an answer added to each cell (log-linear), whatever they are, so that d' is finite.

    Args:
        hits, alarms: answers "changed", from 0 to the trials of their kind; else UsageError.
        changed, unchanged: trials of each kind. d' has no value where one kind has no trial.
    """
    _check(hits, changed)
    _check(alarms, unchanged)
    n = changed + unchanged
    correct = _correct(hits + unchanged - alarms, n)
    if min(changed, unchanged) == 0:
        none = Interval(value=None, low=None, high=None, n=n, method="undefined: needs changed and unchanged images")
        return Detection(correct, none, none)
    first, second = (float(norm.ppf((k + 0.5) / (m + 1))) for k, m in ((hits, changed), (alarms, unchanged)))
    error = math.sqrt(_variance(first, changed) + _variance(second, unchanged))
    method = "Gourevitch-Galanter, log-linear rates"
    return Detection(
        correct,
        _normal(first - second, error, n, method),
        _normal(-(first + second) / 2, error / 2, n, method),
    )


def two_alternatives(right: int, trials: int) -> tuple[Interval, Interval]:
    """Percent correct (Wilson) and d' of a choice between a changed and an unchanged image, in that order.

    d' is the square root of 2 times z(share correct) of a reader who favours neither place; its bounds are Wilson's,
    carried over. No value, and one bound alone, where all answers are right or all are wrong.

    Args:
        right: right answers, from 0 to ``trials``; else UsageError.
        trials: choices in all.
    """
    _check(right, trials)
    share = _correct(right, trials)
    if share.value is None or share.low is None or share.high is None:
        return share, share
    low, value, high = (_from_share(item) for item in (share.low, share.value, share.high))
    method = "Wilson, as d'" if value is not None else "Wilson, as d'; all answers alike: no finite value"
    return share, Interval(value=value, low=low, high=high, n=trials, method=method)


def same_different(hits: float, different: float, *, alarms: float, same: float) -> Interval:
    """d' of pairs judged "same" or "different" by readers who compare the two images of a pair (differencing).

    A pair is called different where the two impressions lie further apart than a criterion (Macmillan and Creelman,
    section 9; as images vary from pair to pair there is no fixed impression to judge each image by). Value by maximum
    likelihood, at least 0 by definition; bounds by profile likelihood over the criterion. No upper bound where the
    data set none; neither value nor bounds where all pairs of both kinds were called alike.

    Args:
        hits, alarms: answers "different" to different and to same pairs; from 0 to their trials, else UsageError.
        different, same: pairs of each kind. No value where one has none. None of the four need be whole: pairs that
            were shown several times count for less.
    """
    _check(hits, different)
    _check(alarms, same)
    n = round(different + same)
    if min(different, same) == 0:
        return Interval(value=None, low=None, high=None, n=n, method="undefined: needs same and different pairs")

    def loss(dprime: float) -> float:
        """Minus the log likelihood at the best criterion."""

        def at(log_criterion: float) -> float:
            apart = _apart(dprime, math.exp(log_criterion))
            still = _apart(0.0, math.exp(log_criterion))
            return _surprise(hits, different, apart) + _surprise(alarms, same, still)

        # The criterion in units of the impressions' spread: from "always different" to beyond any pair.
        return float(minimize_scalar(at, bounds=(-7.0, 3.0), method="bounded", options={"xatol": 1e-7}).fun)

    best = float(minimize_scalar(loss, bounds=(0.0, _MOST), method="bounded", options={"xatol": 1e-6}).x)
    best = min((0.0, best, _MOST), key=loss)
    low, high = _crossings(loss, best)
    if hits == alarms == 0 or (hits == different and alarms == same):
        method = "undefined: all pairs were called alike, which any d' allows"
        return Interval(value=None, low=None, high=None, n=n, method=method)
    value = None if best >= _MOST else best
    method = "profile likelihood, differencing rule" + (
        "; no finite value: none of the different pairs was missed" if value is None else ""
    )
    return Interval(value=value, low=low, high=high, n=n, method=method)


def _crossings(loss: Callable[[float], float], best: float) -> tuple[float, float | None]:
    """Where the log likelihood falls half a 95 % chi-square below its best, 0 and None where it does not."""
    least = loss(best)

    def above(dprime: float) -> float:
        return loss(dprime) - least - _DROP

    low = float(brentq(above, 0.0, best)) if best > 0 and above(0.0) > 0 else 0.0
    high = float(brentq(above, best, _MOST)) if best < _MOST and above(_MOST) > 0 else None
    return low, high


def _apart(dprime: float, criterion: float) -> float:
    """Chance that impressions ``dprime`` apart differ by more than the criterion (their difference has variance 2)."""
    up, down = (dprime - criterion) / math.sqrt(2), (-dprime - criterion) / math.sqrt(2)
    return min(1.0, math.exp(float(log_ndtr(up))) + math.exp(float(log_ndtr(down))))


def _surprise(count: float, trials: float, share: float) -> float:
    """Minus the binomial log likelihood, without its constant; infinite where the count cannot be."""
    return -float(xlogy(count, share) + xlog1py(trials - count, -share))


def _variance(z: float, trials: int) -> float:
    share = float(norm.cdf(z))
    return share * (1 - share) / (trials * float(norm.pdf(z)) ** 2)


def _normal(value: float, error: float, n: int, method: str) -> Interval:
    half = float(norm.ppf(0.975)) * error
    return Interval(value=value, low=value - half, high=value + half, n=n, method=method)


def _from_share(share: float) -> float | None:
    return math.sqrt(2) * float(norm.ppf(share)) if 0 < share < 1 else None


def _correct(right: int, trials: int) -> Interval:
    if trials == 0:
        return Interval(value=None, low=None, high=None, n=0, method="undefined: no trial")
    return wilson(right, trials)


def _check(count: float, trials: float) -> None:
    if not 0 <= count <= trials:
        raise UsageError("more answers than trials, or fewer than none", value=count, allowed=f"0 to {trials}")
