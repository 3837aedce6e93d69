"""The size of change that readers detect: a psychometric curve over eps, and its threshold with an interval.

Curve: share right = guess + (1 - guess - lapse) F(eps), F logistic in the logarithm of eps, or Weibull; both are 0 at
eps 0, so that identical pairs belong into the fit. The guess rate is the task's (0.5 for two alternatives), the lapse
rate is fitted between 0 and a cap: F. A. Wichmann, N. J. Hill, Perception & Psychophysics 63 (2001) 1293-1313.
Threshold: the eps at which the curve meets a share right, 75 % as a rule. Interval: profile likelihood over slope and
lapse rate, on a grid. Trials count as independent: of several readers or cases pooled, the interval is too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import xlog1py, xlogy
from scipy.stats import chi2

from percuss.core.errors import UsageError
from percuss.core.results import Interval

Floats = NDArray[np.float64]
Shape = Literal["logistic", "weibull"]
Status = Literal["found", "above", "below", "undetermined"]

#: Exponents of eps that are tried: flatter than any reader known, and nearly a step.
SLOPES = (0.3, 20.0)
#: How far beyond the tested sizes the grid of thresholds reaches; what lies there counts as not seen.
BEYOND = 4.0
_DROP = float(chi2.ppf(0.95, 1)) / 2


@dataclass(frozen=True)
class Answers:
    """Right answers at each size, with what the task says of guessing.

    Attributes:
        eps: sizes of change, 0 and above (0: identical images), each once, at least two of them above 0.
        right: right answers at each, from 0 to the trials.
        trials: answers at each, at least 1.
        guess: share right without seeing anything, in [0, 1).

    Raises:
        UsageError: where these do not hold.
    """

    eps: tuple[float, ...]
    right: tuple[int, ...]
    trials: tuple[int, ...]
    guess: float = 0.5

    def __post_init__(self) -> None:
        if not len(self.eps) == len(self.right) == len(self.trials):
            value = f"{len(self.eps)}, {len(self.right)} and {len(self.trials)}"
            raise UsageError("sizes, right answers and trials differ in number", value=value)
        if any(not math.isfinite(e) or e < 0 for e in self.eps) or len(set(self.eps)) < len(self.eps):
            raise UsageError("a size of change cannot be used", value=self.eps, allowed="0 and above, each once")
        if sum(e > 0 for e in self.eps) < 2:
            next_step = "ask readers at more sizes; a single size has a percent correct, but no curve"
            raise UsageError("too few sizes for a curve", value=self.eps, allowed="two above 0", next_step=next_step)
        if any(not 0 <= k <= n or n < 1 for k, n in zip(self.right, self.trials, strict=True)):
            raise UsageError("more right answers than trials, or none asked", value=(self.right, self.trials))
        if not 0 <= self.guess < 1:
            raise UsageError("the guess rate is a share", value=self.guess, allowed="0 to below 1")


@dataclass(frozen=True)
class Curve:
    """A fitted curve and its threshold.

    Attributes:
        threshold: eps at the target. No value unless ``status`` is ``found``; its bounds are eps too, and a missing
            bound means that the data set none within four times the tested sizes.
        status: ``found`` between the smallest and the largest eps above 0; ``above`` or ``below`` where the whole
            interval lies beyond them (censored); ``undetermined`` where the data leave it open.
        target: share right that defines the threshold.
        fitted: eps at the target, exponent of eps, and lapse rate that are likeliest, whatever the status.
        slope_at_end: the exponent is at an end of ``SLOPES``, as where the answers jump from guessing to all right.
        shape: of the curve.
        guess: guess rate.
    """

    threshold: Interval
    status: Status
    target: float
    fitted: tuple[float, float, float]
    slope_at_end: bool
    shape: Shape
    guess: float

    def share(self, eps: Sequence[float]) -> Floats:
        """Share right by the fitted curve at these sizes, ``[len(eps)]``."""
        sizes = np.asarray(eps, dtype=np.float64)
        curve = np.array([self.fitted])
        return np.asarray(shares(sizes, curve, self.target, guess=self.guess, shape=self.shape)[0])


def psychometric(
    answers: Answers, *, shape: Shape = "weibull", target: float = 0.75, most_lapses: float = 0.06
) -> Curve:
    """Fit the curve by maximum likelihood and find the eps at which readers are right in ``target`` of the trials.

    Args:
        answers: what readers answered.
        shape: ``weibull`` or ``logistic``; else UsageError.
        target: above the guess rate and below 1 - ``most_lapses``; else UsageError.
        most_lapses: cap of the lapse rate, in [0, 0.2]; 0 fits none.
    """
    if shape not in ("logistic", "weibull"):
        raise UsageError("the curve has no such shape", value=shape, allowed="logistic, weibull")
    if not 0 <= most_lapses <= 0.2:
        raise UsageError("the cap of the lapse rate cannot be used", value=most_lapses, allowed="0 to 0.2")
    if not answers.guess < target < 1 - most_lapses:
        allowed = f"above {answers.guess:g} and below {1 - most_lapses:g}"
        raise UsageError("the target is no share right that every curve meets", value=target, allowed=allowed)
    tested = [eps for eps in answers.eps if eps > 0]
    places = places_of(tested)
    curves = grid(places, most_lapses)
    heights = _likelihood(answers, curves, target, shape)
    best = _polished(answers, curves[int(heights.argmax())], (target, most_lapses), shape)
    top = max(float(_likelihood(answers, best[None], target, shape)[0]), float(heights.max()))
    profile = heights.reshape(len(places), -1).max(axis=1)
    low, high = _bounds(places, profile, top - _DROP)
    status = status_of(float(best[0]), low, high, tested=(min(tested), max(tested)))
    value = float(best[0]) if status == "found" else None
    n = sum(answers.trials)
    threshold = Interval(
        value=value, low=low, high=high, n=n, method=f"profile likelihood, {shape}{open_ends(low, high)}"
    )
    place, slope, lapse = (float(item) for item in best)
    at_end = not SLOPES[0] * 1.01 < slope < SLOPES[1] / 1.01
    return Curve(threshold, status, target, (place, slope, lapse), at_end, shape, answers.guess)


def places_of(tested: Sequence[float]) -> Floats:
    """The thresholds on the grid, ``[241]``, rising, for sizes above 0."""
    return np.geomspace(min(tested) / BEYOND, max(tested) * BEYOND, 241)


def grid(places: Floats, most_lapses: float) -> Floats:
    """Threshold, slope and lapse rate in all combinations, ``[N, 3]``, thresholds slowest."""
    lapses = np.linspace(0, most_lapses, 7) if most_lapses > 0 else np.zeros(1)
    axes = np.meshgrid(places, np.geomspace(*SLOPES, 41), lapses, indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def shares(eps: Floats, curves: Floats, target: float, *, guess: float, shape: Shape) -> Floats:
    """Share right, ``[curves, eps]``, of curves given by threshold, slope and lapse rate, ``[curves, 3]``."""
    place, slope, lapse = (curves[:, column, None] for column in range(3))
    # What F must be at the threshold for the whole curve to meet the target there.
    there = (target - guess) / (1 - guess - lapse)
    with np.errstate(over="ignore"):
        power = np.minimum((eps[None] / place) ** slope, 1e12)
    if shape == "weibull":
        seen = -np.expm1(np.log1p(-there) * power)
    else:
        odds = there / (1 - there) * power
        seen = odds / (1 + odds)
    return np.asarray(guess + (1 - guess - lapse) * seen)


def _likelihood(answers: Answers, curves: Floats, target: float, shape: Shape) -> Floats:
    """Log likelihood of each curve, ``[curves]``, without the binomial's constant."""
    right, trials = np.asarray(answers.right), np.asarray(answers.trials)
    share = shares(np.asarray(answers.eps, dtype=np.float64), curves, target, guess=answers.guess, shape=shape)
    share = np.clip(share, 0.0, 1.0)
    return np.asarray((xlogy(right, share) + xlog1py(trials - right, -share)).sum(axis=1))


def _polished(answers: Answers, start: Floats, limits: tuple[float, float], shape: Shape) -> Floats:
    """The likeliest curve near the grid's best."""
    target, most_lapses = limits

    def loss(point: Floats) -> float:
        curve = np.array([[math.exp(point[0]), math.exp(point[1]), point[2]]])
        return -max(float(_likelihood(answers, curve, target, shape)[0]), -1e300)

    ends = [math.log(start[0]) + np.array([-1.0, 1.0]), np.log(SLOPES), np.array([0.0, most_lapses])]
    first = np.array([math.log(start[0]), math.log(start[1]), start[2]])
    options = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 2000}
    found = minimize(loss, first, method="Nelder-Mead", bounds=[tuple(pair) for pair in ends], options=options)
    return np.array([math.exp(found.x[0]), math.exp(found.x[1]), found.x[2]])


def _bounds(places: Floats, profile: Floats, floor: float) -> tuple[float | None, float | None]:
    """First and last threshold whose profile is above the floor, between grid points; None at the grid's ends."""
    kept = np.flatnonzero(profile >= floor)
    if len(kept) == 0:
        # The peak lies between two grid points: they bracket it.
        peak = int(profile.argmax())
        return float(places[max(peak - 1, 0)]), float(places[min(peak + 1, len(places) - 1)])
    first, last = int(kept[0]), int(kept[-1])
    low = None if first == 0 else _between(places, profile, floor, (first - 1, first))
    high = None if last == len(places) - 1 else _between(places, profile, floor, (last + 1, last))
    return low, high


def _between(places: Floats, profile: Floats, floor: float, ends: tuple[int, int]) -> float:
    outside, inside = ends
    if not math.isfinite(profile[outside]):
        return float(places[outside])
    part = (floor - profile[outside]) / (profile[inside] - profile[outside])
    return float(places[outside] * (places[inside] / places[outside]) ** part)


def open_ends(low: float | None, high: float | None) -> str:
    """Why a bound of a threshold is missing, for the method; empty where both are there."""
    missing = [name for name, end in (("lower", low), ("upper", high)) if end is None]
    if not missing:
        return ""
    return f"; no {' or '.join(missing)} bound within {BEYOND:g} times the sizes shown"


def status_of(place: float, low: float | None, high: float | None, *, tested: tuple[float, float]) -> Status:
    """What an interval of a threshold says of sizes between the smallest and the largest that were ``tested``."""
    least, most = tested
    if low is not None and low >= most:
        return "above"
    if high is not None and high <= least:
        return "below"
    if (low is None and high is None) or not least <= place <= most:
        return "undetermined"
    return "found"
