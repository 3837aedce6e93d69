"""The verdict of an endpoint in plain words, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.results import Interval
from percuss.core.study_results import Verdict
from percuss.study.design.protocol import Endpoint
from percuss.study.results.decide import Scale

#: Measures of which less is worse: they count what the arm has less than the other.
LOSSES = ("true-positives", "agreement")


@dataclass(frozen=True)
class Told:
    """What a sentence is made of; ``chance`` is what the number is held against where no other arm is."""

    endpoint: Endpoint
    value: Interval
    verdict: Verdict
    readers: int
    scale: Scale
    chance: float | None

    @property
    def sign(self) -> str:
        """What the value is, and which way is worse."""
        one, two = self.endpoint.arm, self.endpoint.against
        if self.chance is not None and self.scale == "rating":
            return f"AUC of the ratings of {one} over those of {two}; 0.5 where they are rated alike"
        if self.endpoint.measure == "true-positives":
            return f"share right, {two} minus {one}; above 0: right answers are lost" if two else f"share right, {one}"
        what = {
            ("detection", "same"): "share called different",
            ("detection", "choice"): "share right in the choice",
            ("agreement", self.endpoint.task): "share of cases answered alike in two copies",
        }.get((self.endpoint.measure, self.endpoint.task), "mean rating")
        if two and self.endpoint.measure in LOSSES:
            return f"{what}, {two} minus {one}; above 0: agreement is lost"
        return f"{what}, {one} minus {two}" if two else f"{what}, {one}"

    @property
    def noun(self) -> str:
        """What the value counts, as the beginning of a sentence."""
        two = bool(self.endpoint.against)
        if self.chance is not None and self.scale == "rating":
            return "AUC of the ratings"
        if self.endpoint.measure == "true-positives":
            return "Loss of true positives" if two else "True positives"
        if self.endpoint.measure == "agreement":
            return "Loss of agreement with oneself" if two else "Agreement with oneself"
        if self.endpoint.measure == "rating" or self.scale == "rating":
            return "Difference in mean rating" if two else "Mean rating"
        if two:
            return "Detected more often than the other arm"
        return "Right in the choice" if self.endpoint.task == "choice" else "Called different"


def sentence(told: Told) -> str:
    """One sentence or two: the number with its bounds, and what may be said of it."""
    value = told.value
    if value.value is None:
        return "There are no answers for this endpoint."
    text = f"{told.noun}: {_number(value.value, told)}"
    if value.low is None or value.high is None:
        return f"{text}; no interval ({value.method}): {_open(told)}"
    level = f"{100 * (1 - 2 * told.endpoint.alpha):g} %"
    return f"{text}, {level} interval {_plain(value.low, told)} to {_plain(value.high, told)}: {_said(told)}."


def _said(told: Told) -> str:
    margin = told.endpoint.margin
    limit = "" if margin is None else _margin(margin, told)
    words = {
        "non-inferior": f"stays below the margin of {limit}",
        "inferior": f"exceeds the margin of {limit}",
        "not shown": f"the margin of {limit} cannot be excluded, so nothing is shown either way",
        "difference": "the arms differ",
        "no difference shown": "no difference is shown, yet one as large as these bounds stays possible",
        "above chance": "readers tell the images apart",
        "below chance": "worse than guessing: readers are misled, or mixed up the answers",
        "not told from chance": f"not told from guessing ({_chance(told)}); all up to the upper bound stays possible",
        "described": "no comparison was planned",
    }
    return words.get(told.verdict, told.verdict)


def _open(told: Told) -> str:
    return "nothing can be concluded from it." if told.verdict != "described" else "no comparison was planned."


def _chance(told: Told) -> str:
    return "50 %" if told.scale == "share" else "AUC 0.5"


def _margin(margin: float, told: Told) -> str:
    if told.scale == "rating":
        return f"{4 * margin:g} of a scale from 1 to 5"
    return f"{_tidy(100 * margin)} points"


def _number(value: float, told: Told) -> str:
    text = _plain(value, told)
    if told.scale == "rating":
        return text
    if _compared(told):
        return f"{text} point{'' if text in ('1', '−1') else 's'}"
    return f"{text} %"


def _plain(value: float, told: Told) -> str:
    if told.scale == "rating":
        return f"{value:.2f}".replace("-", "−")
    return _tidy(100 * value)


def _compared(told: Told) -> bool:
    return bool(told.endpoint.against) and told.chance is None


def _tidy(value: float) -> str:
    """One decimal, none where it is 0, a true minus sign."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text.replace("-", "−")
