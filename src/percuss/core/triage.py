"""What triage by sensitivity gives: two rules of referral on the same images, set against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from percuss.core.results import Interval

#: The rules, in the order of the tables: smallest change that alters the decision, and probability of the decision.
SENSITIVITY, CONFIDENCE = "sensitivity", "confidence"


@dataclass(frozen=True)
class Rule:
    """Referral of the images whose score is at or below a threshold.

    Attributes:
        name: ``sensitivity`` or ``confidence``.
        threshold: in the measure of the score (size of the norm; probability); None where no image is referred.
        calibrated: share of the calibration images at or below it.
        coverage: share of the judged images that is kept.
        kept, deferred: accuracy of the model among the images kept, and among those handed to a human.
        gain: accuracy of the kept minus accuracy of all.
        aurc: area under the risk-coverage curve, the mean error among the images kept over every coverage.
        curve: pairs of coverage and error among the kept, up to 51, coverage ascending.
    """

    name: str
    threshold: float | None
    calibrated: float
    coverage: Interval
    kept: Interval
    deferred: Interval
    gain: Interval
    aurc: Interval
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Triage:
    """Both rules at one share.

    Attributes:
        share: share of the images that is to be referred.
        accuracy: of the model on all judged images.
        sensitivity, confidence: the rules.
        aurc_random, aurc_best: area where images are referred at random, and where every error goes first.
        aurc_difference: area of confidence minus area of sensitivity; above 0 sensitivity orders better.
        kept_difference: accuracy kept by sensitivity minus accuracy kept by confidence.
        rank_correlation: Spearman's, between the two scores; None where one of them is constant.
        n, n_errors, n_censored: judged images; of these wrong; of these never flipped up to the largest size.
        more: whether sensitivity is more than confidence; None where neither is shown.
        answer: the same in a sentence, with the numbers.
    """

    share: float
    accuracy: Interval
    sensitivity: Rule
    confidence: Rule
    aurc_random: float
    aurc_best: float
    aurc_difference: Interval
    kept_difference: Interval
    rank_correlation: float | None
    n: int
    n_errors: int
    n_censored: int
    more: bool | None
    answer: str

    @property
    def rules(self) -> tuple[Rule, Rule]:
        """Sensitivity, then confidence."""
        return self.sensitivity, self.confidence


def triage_from(record: Mapping[str, Any]) -> Triage:
    """The triage that ``triage.json`` holds as plain values; KeyError or ValueError where it does not fit."""
    return Triage(**{item.name: _read(record[item.name]) for item in fields(Triage)})


def _read(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "curve" not in value:
        return Interval.model_validate(value)
    own = {name: _read(item) for name, item in value.items() if name != "curve"}
    return Rule(**own, curve=tuple((float(one), float(two)) for one, two in value["curve"]))
