"""Lesions found on whole slides as CAMELYON16 counts them: sensitivity against false alarms per slide, and slide AUC.

The score is the mean sensitivity at 1/4, 1/2, 1, 2, 4 and 8 false alarms per slide (B. Ehteshami Bejnordi et al., JAMA
318 (2017) 2199-2210, and its published evaluation): every detection inside a lesion counts for that lesion, which has
the highest score of its own; one in an isolated group of tumour cells counts neither way; every other is a false alarm,
whatever the slide. Lesions and detections come from ``percuss.evaluate.lesions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from percuss.core.errors import DataError
from percuss.core.results import Interval
from percuss.evaluate.clean import area_under_roc
from percuss.evaluate.intervals import Clusters, statistic
from percuss.evaluate.lesions import Detections, Lesions

Floats = NDArray[np.float64]
#: False alarms per slide at which sensitivity is read (CAMELYON16).
ALARMS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class SlideHits:
    """One slide judged.

    Attributes:
        id, group: slide and patient (empty where unknown).
        tumour: whether the truth has any tumour, isolated cells included.
        score: of the slide as a whole, higher for tumour.
        found: best score of each lesion, minus infinity for one that was missed.
        alarms: score of each false alarm.
    """

    id: str
    group: str
    tumour: bool
    score: float
    found: tuple[float, ...]
    alarms: tuple[float, ...]


@dataclass(frozen=True)
class Froc:
    """What a set of slides gives.

    Attributes:
        auc: area under the ROC curve of the slides' scores.
        score: mean sensitivity at the six rates of ``ALARMS``.
        at: sensitivity at each of them.
        alarms, sensitivity: the curve, from no detection to all of them.
        lesions: lesions counted in all, isolated cells left out.
    """

    auc: Interval
    score: Interval
    at: dict[float, Interval]
    alarms: Floats
    sensitivity: Floats
    lesions: int


def judge_slide(
    name: str, found: Detections, truth: Lesions, *, score: float | None = None, group: str = ""
) -> SlideHits:
    """Count the detections of one slide.

    Args:
        name, group: slide and patient.
        found: places and scores, on the grid of the truth.
        truth: lesions of the slide.
        score: of the slide; the highest of its detections where None, minus infinity without any.
    """
    best = dict.fromkeys(truth.counted, -np.inf)
    alarms = []
    for row, column, value in zip(found.row, found.column, found.score, strict=True):
        label = int(truth.labels[row, column])
        if label in best:
            best[label] = max(best[label], float(value))
        elif label == 0 and truth.judged[row, column]:
            alarms.append(float(value))
    top = max(found.score.tolist(), default=-np.inf) if score is None else score
    return SlideHits(name, group, bool(truth.labels.any()), top, tuple(best.values()), tuple(alarms))


def froc(slides: Sequence[SlideHits], *, seed: int = 0) -> Froc:
    """The curve, its score and the AUC of slides, with intervals by bootstrap over patients (slides where unknown).

    A number is None where it is undefined: no lesion at all, or all slides of one kind.

    Raises:
        DataError: no slide, or one twice.
    """
    names = [slide.id for slide in slides]
    if not names or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), "none")
        raise DataError("FROC needs slides, each once", value=twice, allowed="different slides")
    events, even = _Events.of(slides), np.ones(len(slides))
    clusters = Clusters.of([slide.group for slide in slides], seed)
    has = np.array([bool(slide.found) for slide in slides])

    def interval(rate: float | None) -> Interval:
        found = statistic(events.read(even, rate), clusters, lambda weights: events.read(weights, rate), rarest=has)
        return _no_lesion(found, len(slides)) if found.value is None else found

    tumour, score = np.array([s.tumour for s in slides]), np.array([s.score for s in slides])
    rarest = tumour if tumour.sum() * 2 <= len(tumour) else ~tumour

    def area(weights: Floats) -> float | None:
        both = weights[tumour].sum() > 0 and weights[~tumour].sum() > 0
        return area_under_roc(tumour, score, weights) if both else None

    alarms, sensitivity = events.curve(even)
    return Froc(
        auc=statistic(area(even), clusters, area, rarest=rarest),
        score=interval(None),
        at={rate: interval(rate) for rate in ALARMS},
        alarms=alarms,
        sensitivity=sensitivity,
        lesions=int(events.lesions.sum()),
    )


@dataclass(frozen=True)
class _Events:
    """Hits and false alarms of all slides, highest score first; ``last`` marks the end of equal scores."""

    slide: NDArray[np.int64]
    hit: NDArray[np.bool_]
    last: NDArray[np.bool_]
    lesions: Floats

    @classmethod
    def of(cls, slides: Sequence[SlideHits]) -> _Events:
        rows = [
            (value, place, hit)
            for place, slide in enumerate(slides)
            for values, hit in ((slide.found, True), (slide.alarms, False))
            for value in values
            if value > -np.inf
        ]
        score, slide, hit = (np.array([row[side] for row in rows]) for side in range(3))
        order = np.argsort(-score.astype(np.float64), kind="stable")
        score, slide, hit = score[order], slide[order].astype(np.int64), hit[order].astype(bool)
        last = np.append(score[1:] != score[:-1], True)[: len(score)]
        return cls(slide, hit, last, np.array([len(slide.found) for slide in slides], dtype=np.float64))

    def curve(self, weights: Floats) -> tuple[Floats, Floats]:
        """False alarms per slide (rising) and sensitivity, where each slide counts ``weights`` times."""
        total, each = float(weights @ self.lesions), weights[self.slide]
        hits = np.append(0.0, (each * self.hit).cumsum()[self.last]) / (total or np.nan)
        return np.append(0.0, (each * ~self.hit).cumsum()[self.last]) / weights.sum(), hits

    def read(self, weights: Floats, rate: float | None) -> float | None:
        """Sensitivity at a rate of false alarms (None: mean over ``ALARMS``); None where no lesion is drawn."""
        if float(weights @ self.lesions) <= 0:
            return None
        alarms, hits = self.curve(weights)
        wanted = np.array(ALARMS if rate is None else [rate])
        # The last point at or below the rate, and the line from there to the next one; level beyond the last.
        before = np.searchsorted(alarms, wanted, side="right") - 1
        after = np.minimum(before + 1, len(alarms) - 1)
        gap = alarms[after] - alarms[before]
        part = np.divide(wanted - alarms[before], gap, out=np.zeros_like(wanted), where=gap > 0)
        return float((hits[before] + part * (hits[after] - hits[before])).mean())


def _no_lesion(found: Interval, slides: int) -> Interval:
    return found.model_copy(update={"n": slides, "method": "undefined: no lesion in any slide"})
