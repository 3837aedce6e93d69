"""A threshold's interval where each case was shown at several sizes: its answers depend on each other.

Cases are drawn whole, with all their answers, and the likeliest curve of each draw is looked up on the grid of
``psychometric``. The interval is the wider one, at either end, of these draws and of the profile likelihood: where all
cases are alike the draws have no width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from percuss.core.errors import UsageError
from percuss.study.statistics.psychometric import Answers, Curve, grid, open_ends, places_of, shares, status_of

Floats = NDArray[np.float64]
#: Draws at a time: the likelihood of every curve in every draw is held at once.
_CHUNK = 25
#: Curves whose log likelihoods differ by less do as well as each other: far beyond the tested sizes all do.
_FLAT = 0.02


def over_cases(
    curve: Curve,
    answers: Answers,
    by_case: tuple[Floats, Floats],
    *,
    most_lapses: float = 0.06,
    draws: int = 400,
    units: str = "cases",
) -> Curve:
    """The curve with an interval of its threshold that takes cases as what varies.

    Args:
        curve: fitted to the answers of all cases together.
        answers: those answers.
        by_case: right answers and trials, ``[cases, sizes]`` each, whose sums are ``answers``; else UsageError.
        most_lapses: as the curve was fitted with.
        draws: how often to draw, from a fixed seed.
        units: what the rows are, for the method: cases, or patients with all their cases.
    """
    right, trials = by_case
    if tuple(right.sum(axis=0)) != answers.right or tuple(trials.sum(axis=0)) != answers.trials:
        value = f"{right.sum(axis=0)} of {trials.sum(axis=0)}"
        raise UsageError("the answers of the cases are not those of the curve", value=value)
    if len(right) < 2:
        return curve
    tested = [eps for eps in answers.eps if eps > 0]
    places = places_of(tested)
    # Every second slope and third lapse rate do for draws, in a fifth of the time.
    curves = grid(places, most_lapses).reshape(len(places), 41, -1, 3)[:, ::2, ::3].reshape(-1, 3)
    first, last = _drawn(curve, answers, by_case, curves, draws)
    # A draw at an end of the grid says no more than that the threshold lies beyond.
    first[first <= places[0]], last[last >= places[-1]] = -np.inf, np.inf
    ends = (
        np.quantile(first, 0.025, method="inverted_cdf"),
        np.quantile(last, 0.975, method="inverted_cdf"),
    )
    low = _wider(curve.threshold.low, float(ends[0]), min)
    high = _wider(curve.threshold.high, float(ends[1]), max)
    status = status_of(curve.fitted[0], low, high, tested=(min(tested), max(tested)))
    method = f"wider of profile likelihood and bootstrap over {len(right)} {units}, {draws} draws; {curve.shape}"
    method += open_ends(low, high)
    interval = curve.threshold.model_copy(
        update={"value": curve.fitted[0] if status == "found" else None, "low": low, "high": high, "method": method}
    )
    return replace(curve, threshold=interval, status=status)


def _drawn(
    curve: Curve, answers: Answers, by_case: tuple[Floats, Floats], curves: Floats, draws: int
) -> tuple[Floats, Floats]:
    """First and last threshold of the likeliest curves of each draw, ``[draws]`` each: apart where all do as well."""
    right, trials = by_case
    share = shares(np.asarray(answers.eps), curves, curve.target, guess=curve.guess, shape=curve.shape)
    # Logarithms of 0 would meet a count of 0 as not a number.
    share = np.clip(share, 1e-12, 1 - 1e-12)
    hit, miss = np.log(share), np.log1p(-share)
    count = np.random.default_rng(20220901).multinomial(len(right), np.full(len(right), 1 / len(right)), size=draws)
    places = np.unique(curves[:, 0])
    first, last = np.empty(draws), np.empty(draws)
    for start in range(0, draws, _CHUNK):
        some = count[start : start + _CHUNK].astype(np.float64)
        heights = hit @ (some @ right).T + miss @ (some @ (trials - right)).T
        profile = heights.reshape(len(places), -1, len(some)).max(axis=1)
        kept = profile >= profile.max(axis=0) - _FLAT
        first[start : start + _CHUNK] = places[kept.argmax(axis=0)]
        last[start : start + _CHUNK] = places[::-1][kept[::-1].argmax(axis=0)]
    return first, last


def _wider(end: float | None, drawn: float, which: Callable[[float, float], float]) -> float | None:
    if end is None or not np.isfinite(drawn):
        return None
    return float(which(end, drawn))
