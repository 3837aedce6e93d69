"""Referral by a score: thresholds, risk-coverage curves with their area, and two scores set against each other.

Risk-coverage and its area (AURC): Y. Geifman and R. El-Yaniv, NeurIPS 2017, and Y. Geifman, G. Uziel and R. El-Yaniv,
ICLR 2019. Images of equal score are kept in random order: what is computed is the expectation over these orders.
Intervals draw whole patients where they are known (``evaluate.intervals``); the thresholds are held fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import spearmanr

from percuss.core.errors import DataError, UsageError
from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.core.triage import CONFIDENCE, SENSITIVITY, Rule, Triage
from percuss.evaluate.intervals import Clusters, Floats, proportion

Flags = NDArray[np.bool_]
_DRAWS = 1000
_POINTS = 51


@dataclass(frozen=True)
class Scored:
    """Images with both scores, one value per image; low scores are referred first.

    Attributes:
        sensitivity: size of the smallest change found that alters the decision; infinity where none did.
        log_odds: of the decision's probability: the order of confidence, without its saturation at 1.
        wrong: the model's decision is wrong.
        groups: patient, empty where unknown.
    """

    sensitivity: Floats
    log_odds: Floats
    wrong: Flags
    groups: tuple[str, ...]


def threshold_for(scores: Floats, share: float) -> float | None:
    """The finite score up to which the share of images is nearest to ``share`` (0 to 1); None where none is nearest.

    Of two that are equally near the smaller one. Scores of infinity are never referred.
    """
    if not 0 < share < 1:
        raise UsageError(
            "the share to refer is out of range", value=share, allowed="above 0, below 1", next_step="give --share 0.2"
        )
    if not len(scores):
        raise DataError("there is no image to choose a threshold on", value=0, allowed="1 or more")
    levels, counts = np.unique(scores[np.isfinite(scores)], return_counts=True)
    shares = np.concatenate([[0.0], np.cumsum(counts) / len(scores)])
    # Rounded, so that two shares equally far apart stay so in floating point.
    best = int(np.argmin(np.round(np.abs(shares - share), 12)))
    return None if best == 0 else float(levels[best - 1])


def at_or_below(scores: Floats, threshold: float | None) -> Flags:
    """The images referred; none where the threshold is None."""
    return np.zeros(len(scores), dtype=bool) if threshold is None else scores <= threshold


class RiskCoverage:
    """Errors among the images kept when those of the lowest scores go first, for one score and any weights.

    Args:
        scores: ``[N]``, infinity allowed.
        wrong: ``[N]``.
    """

    def __init__(self, scores: Floats, wrong: Flags) -> None:
        if np.isnan(scores).any() or len(scores) != len(wrong) or not len(scores):
            raise DataError("scores and decisions do not fit", value=f"{len(scores)} and {len(wrong)}, or NaN")
        # Highest score first; equal scores share a block.
        self._block = np.unique(-scores, return_inverse=True)[1].reshape(-1)
        self._wrong = wrong.astype(np.float64)

    def area(self, weights: Floats | None = None) -> float:
        """The AURC, 0 to 1; ``weights``: how often each image counts, whole numbers."""
        size, errors = self._sums(weights)
        before, failed = np.cumsum(size) - size, np.cumsum(errors) - errors
        share = np.divide(errors, size, out=np.zeros_like(errors), where=size > 0)
        # In a block the j-th image kept brings ``share`` errors on average: the sum over j of
        # (failed + j share) / (before + j) is share * size + (failed - share * before) * (1/(before+1) + ...).
        total = float(size.sum())
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, round(total) + 1))])
        first, last = np.rint(before).astype(np.int64), np.rint(before + size).astype(np.int64)
        return float((share * size + (failed - share * before) * (harmonic[last] - harmonic[first])).sum() / total)

    def curve(self) -> tuple[Floats, Floats]:
        """Coverage ``k / N`` for k from 1 to N, and the expected error among the k images kept."""
        size, errors = self._sums(None)
        ends, failed = np.concatenate([[0.0], np.cumsum(size)]), np.concatenate([[0.0], np.cumsum(errors)])
        kept = np.arange(1, len(self._wrong) + 1, dtype=np.float64)
        return kept / len(kept), np.interp(kept, ends, failed) / kept

    def _sums(self, weights: Floats | None) -> tuple[Floats, Floats]:
        each = np.ones(len(self._wrong)) if weights is None else weights
        count = int(self._block.max()) + 1
        size, errors = (np.bincount(self._block, values, count) for values in (each, each * self._wrong))
        return size.astype(np.float64), errors.astype(np.float64)


def triage(judged: Scored, calibration: Scored, share: float, *, seed: int = 0) -> Triage:
    """Both rules: thresholds chosen on the calibration images, applied to the judged ones.

    Args:
        judged, calibration: the images; the labels of the calibration images are not used.
        share: to refer, above 0 and below 1.
        seed: of the bootstrap.

    Raises:
        UsageError: a share out of range. DataError: no images, or scores that are NaN.
    """
    clusters, right = Clusters.of(judged.groups, seed), ~judged.wrong
    pairs = {
        SENSITIVITY: (judged.sensitivity, calibration.sensitivity),
        CONFIDENCE: (judged.log_odds, calibration.log_odds),
    }
    areas = {name: _areas(scores, judged.wrong, clusters) for name, (scores, _) in pairs.items()}
    rules = {
        name: _rule(name, (scores, others), judged.wrong, share=share, clusters=clusters, areas=areas[name])
        for name, (scores, others) in pairs.items()
    }
    (one, ones), (two, twos) = areas[SENSITIVITY], areas[CONFIDENCE]
    difference = _interval(two - one, twos - ones, clusters)
    more, answer = _answer(difference, int(judged.wrong.sum()))
    return Triage(
        share=share,
        accuracy=proportion(right, clusters),
        sensitivity=rules[SENSITIVITY],
        confidence=rules[CONFIDENCE],
        aurc_random=float(judged.wrong.mean()),
        aurc_best=RiskCoverage(right.astype(np.float64), judged.wrong).area(),
        aurc_difference=difference,
        kept_difference=_difference(right, tuple(_kept(*pair, share) for pair in pairs.values()), clusters),
        rank_correlation=_spearman(judged.sensitivity, judged.log_odds),
        n=len(right),
        n_errors=int(judged.wrong.sum()),
        n_censored=int(np.isinf(judged.sensitivity).sum()),
        more=more,
        answer=answer,
    )


def _kept(scores: Floats, others: Floats, share: float) -> Flags:
    return ~at_or_below(scores, threshold_for(others, share))


def _rule(
    name: str,
    pair: tuple[Floats, Floats],
    wrong: Flags,
    *,
    share: float,
    clusters: Clusters,
    areas: tuple[float, Floats],
) -> Rule:
    """One rule: threshold from the second scores of the pair, applied to the first."""
    scores, others = pair
    limit, kept, right = threshold_for(others, share), _kept(*pair, share), ~wrong
    shown = float(expit(limit)) if limit is not None and name == CONFIDENCE else limit
    return Rule(
        name=name,
        threshold=shown,
        calibrated=float(at_or_below(others, limit).mean()),
        coverage=proportion(kept, clusters),
        kept=proportion(right, clusters, kept),
        deferred=proportion(right, clusters, ~kept),
        gain=_difference(right, (kept, np.ones_like(right)), clusters),
        aurc=_interval(*areas, clusters),
        curve=_thinned(RiskCoverage(scores, wrong)),
    )


def triage_findings(found: Triage, *, same: bool) -> list[Finding]:
    """Doubts about the numbers; ``same``: the thresholds were chosen on the judged images themselves."""
    doubts, rule = [], found.sensitivity
    if same:
        text = (
            "The thresholds were chosen on the judged images themselves, as in the published study: the accuracy kept "
            "is that of a threshold which knew them. Calibrate on another split."
        )
        doubts.append(Finding("triage-threshold-on-judged-images", "warning", text, {}))
    if rule.calibrated < 0.8 * found.share:
        text = (
            f"Only {rule.calibrated:.1%} of the calibration images could be referred for {found.share:.1%} asked: no "
            "change up to the largest size alters more of the decisions. Search larger sizes (--sizes)."
        )
        doubts.append(Finding("triage-too-few-flips", "warning", text, {"referred": rule.calibrated}))
    low, high, kept = rule.coverage.low, rule.coverage.high, rule.coverage.value
    # The calibration images are a sample too: a gap of two samples is wider by about the root of two.
    gap = abs(kept - 1 + rule.calibrated) if kept is not None else 0.0
    if kept is not None and low is not None and high is not None and gap > (high - low) / 2**0.5:
        text = (
            f"The threshold refers {1 - kept:.1%} of the judged images and "
            f"{rule.calibrated:.1%} of those it was chosen on: the two sets differ."
        )
        doubts.append(Finding("triage-share-shifted", "warning", text, {"coverage": kept}))
    if found.n_errors < 10:
        text = f"Only {found.n_errors} of {found.n} judged images are wrong: what a rule does with errors rests on few."
        doubts.append(Finding("triage-few-errors", "warning", text, {"errors": found.n_errors, "images": found.n}))
    if found.more is not True:
        doubts.append(Finding("triage-not-above-confidence", "info", found.answer, {}))
    return doubts


def _areas(scores: Floats, wrong: Flags, clusters: Clusters) -> tuple[float, Floats]:
    """The AURC of all images, and in each draw."""
    found = RiskCoverage(scores, wrong)
    draws = range(min(_DRAWS, len(clusters.draws)))
    return found.area(), np.array([found.area(clusters.weights(i)) for i in draws])


def _interval(value: float, draws: Floats, clusters: Clusters) -> Interval:
    n, kept = len(clusters.codes), draws[np.isfinite(draws)]
    low, high = np.quantile(kept, (0.025, 0.975)) if len(kept) else (0.0, 0.0)
    if low == high:  # a width of zero would claim certainty
        return Interval(value=value, low=None, high=None, n=n, method="undefined: all draws alike")
    name = clusters.method().rsplit(",", 1)[0]
    return Interval(value=value, low=float(low), high=float(high), n=n, method=f"{name}, {len(kept)} draws")


def _difference(right: Flags, sides: tuple[Flags, ...], clusters: Clusters) -> Interval:
    """Share of right images among one side's minus the other's, the two overlapping as they do."""
    if not all(side.any() for side in sides):
        return Interval(value=None, low=None, high=None, n=0, method="undefined: no image kept")
    value = float(right[sides[0]].mean() - right[sides[1]].mean())
    tops, bottoms = ([clusters.sums(flags) for flags in (right & side, side)] for side in sides)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _interval(value, tops[0] / tops[1] - bottoms[0] / bottoms[1], clusters)


def _thinned(curve: RiskCoverage) -> tuple[tuple[float, float], ...]:
    coverage, risk = curve.curve()
    places = np.unique(np.linspace(0, len(risk) - 1, min(_POINTS, len(risk))).round().astype(int))
    return tuple((float(coverage[i]), float(risk[i])) for i in places)


def _spearman(one: Floats, two: Floats) -> float | None:
    """Infinities count as equal and above everything finite."""
    ranks = [np.unique(values, return_inverse=True)[1].reshape(-1) for values in (one, two)]
    if min(int(item.max()) for item in ranks) == 0:
        return None
    return float(spearmanr(*ranks).statistic)


def _answer(difference: Interval, errors: int) -> tuple[bool | None, str]:
    if difference.value is None or difference.low is None or difference.high is None:
        why = "the model makes no error here" if not errors else "both order these images alike, or they are too few"
        return None, f"Whether sensitivity is more than confidence cannot be told: {why}."
    ends = f"area under the risk-coverage curve {difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
    if difference.low > 0:
        return True, f"Sensitivity is more than confidence: it orders errors better ({ends}, confidence minus its own)."
    if difference.high < 0:
        text = "Sensitivity is not more than confidence: confidence orders errors better"
        return False, f"{text} ({ends}, confidence minus sensitivity)."
    text = "That sensitivity is more than confidence is not shown: the two order errors alike within the interval"
    return None, f"{text} ({ends}, confidence minus sensitivity)."
