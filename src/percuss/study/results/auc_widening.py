"""An AUC of several readers is never surer than that of as many independent readings, and never quite sure.

As ``widening`` does for shares. Readers and cases at random cannot make a mean AUC more certain than readings of other
cases by every reader would be: no interval is narrower than Newcombe's score interval with the variance divided by
readers times copies, and none of a difference than both arms' joined with the correlation that the readings have.
Where the readings leave no variance at all (every AUC is 1, say) the same intervals of one reader's one reading stand
in, with patients for cases where patients have several, and uncorrelated: readers who agree say nothing of other cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from percuss.core.results import Interval
from percuss.study.results.widening import wider
from percuss.study.statistics.auc_score import Pairs, auc_bounds, joined_bounds
from percuss.study.statistics.case_jackknife import Floats, Units, jackknife_covariance
from percuss.study.statistics.mrmc import reader_means


@dataclass(frozen=True)
class Floor:
    """What an interval of two arms' AUCs rests on where their variance says too little.

    Attributes:
        values: mean AUC of the first and of the second arm.
        pairs: cases of each class, and as many sets as there are readings.
        alone: units of each class, read once.
        correlation: of one reader's two AUCs over cases, in [0, 1]; 0 where the readings do not tell.
        units: the patient of each case, where several are of one.
        copies: of the readings, whose mean the kernels are.
    """

    values: tuple[float, float]
    pairs: Pairs
    alone: Pairs
    correlation: float
    units: Units | None = None
    copies: int = 1

    @classmethod
    def of(cls, kernels: tuple[Floats, Floats], *, copies: int, units: Units | None) -> Floor:
        """From both arms' kernels ``[readers, negatives, positives]``, each a mean over so many copies."""
        readers, negatives, positives = kernels[0].shape
        few = (negatives, positives) if units is None else tuple(len(np.unique(part)) for part in units)
        matrix = jackknife_covariance(np.concatenate(kernels), units)
        crossed, own = float(np.trace(matrix[:readers, readers:])), float(np.trace(matrix))
        # Twice, as half of ``own`` is each arm's.
        correlation = float(np.clip(2 * crossed / own, 0.0, 1.0)) if own > 0 else 0.0
        first, second = (float(reader_means(item).mean()) for item in kernels)
        pairs = Pairs(negatives, positives, float(readers * copies))
        return cls((first, second), pairs, Pairs(*few), correlation, units, copies)

    def arm(self, place: int, *, alone: bool, confidence: float = 0.95) -> tuple[float, float, float]:
        """AUC of the first (0) or second (1) arm with its limits; ``alone``: of one reader's one reading."""
        value = self.values[place]
        return value, *auc_bounds(value, self.alone if alone else self.pairs, confidence=confidence)

    def gap(self, *, alone: bool, confidence: float = 0.95) -> tuple[float, float]:
        """Limits of the first AUC minus the second."""
        one, two = (self.arm(place, alone=alone, confidence=confidence) for place in (0, 1))
        return joined_bounds(one, two, correlation=0.0 if alone else self.correlation)


def widened_aucs(found: Sequence[Interval], floor: Floor) -> list[Interval]:
    """The intervals of both arms, never narrower than the floor's."""
    items = []
    for place, item in enumerate(found):
        alone = item.low is None
        _, low, high = floor.arm(place, alone=alone)
        items.append(_wider(item, (low, high), floor, "Newcombe's score"))
    return items


def widened_gap(found: Interval, floor: Floor) -> Interval:
    """The interval of their difference, never narrower than the floor's."""
    return _wider(found, floor.gap(alone=found.low is None), floor, "Newcombe's score, joined")


def gap_p(p_value: float | None, floor: Floor) -> float:
    """Two-sided p value of no difference: not smaller than the one whose interval would just hold 0.

    Args:
        p_value: of readers and cases random; None where they leave no variance.
        floor: of the interval.
    """
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        ends = floor.gap(alone=p_value is None, confidence=1 - middle)
        low, high = (low, middle) if ends[0] > 0 or ends[1] < 0 else (middle, high)
    # At a confidence of 0 both ends are the difference itself.
    least = 1.0 if floor.values[0] == floor.values[1] else low
    return least if p_value is None else max(p_value, least)


def _wider(found: Interval, ends: tuple[float, float], floor: Floor, name: str) -> Interval:
    if found.low is not None and found.high is not None:
        return wider(found, ends, f"{floor.pairs.sets:g} independent readings ({name})")
    size = f"{floor.alone.negatives:g} negative and {floor.alone.positives:g} positive"
    method = f"{name}, one reading of {size} units: the readings leave no variance"
    return found.model_copy(update={"low": ends[0], "high": ends[1], "method": method})
