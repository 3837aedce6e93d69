"""The cases that true positives are counted over, and how little they are worth where several are of one patient."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from percuss.study.design.protocol import Protocol
from percuss.study.statistics.paired_share import score_bounds
from percuss.study.statistics.worth import effective


@dataclass(frozen=True)
class Positives:
    """Cases of the positive label.

    Attributes:
        cases: how many.
        patients: they are of, 0 where each is of its own or nobody knows.
        worth: independent cases that they are worth where no answer changes: results then take patients as what
            varies by chance (``statistics.worth``). ``cases`` where ``patients`` is 0.
    """

    cases: int
    patients: int = 0
    worth: float = 0.0

    def left_possible(self, alpha: float) -> float:
        """The loss in [0, 1] that stays possible where no answer changes; alpha one-sided. The results' own bound."""
        return score_bounds(0.0, 0.0, self.worth or float(self.cases), confidence=1 - 2 * alpha)[1]


def positives_of(protocol: Protocol) -> Positives | None:
    """Those of a protocol; all its cases where none has the positive label; None where it has no such label."""
    if not protocol.positive:
        return None
    positive = [case for case in protocol.cases if case.truth == protocol.positive] or list(protocol.cases)
    # As the results group answers: by patient, and by case where the patient is unknown.
    sizes = Counter(("patient", case.patient) if case.patient else ("case", case.id) for case in positive)
    if len(sizes) == len(positive):
        return Positives(len(positive), worth=float(len(positive)))
    return Positives(len(positive), len(sizes), effective([[0.0] * size for size in sizes.values()]))
