"""One answered trial of one reader, joined with what the key says of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from percuss.study.answers import Choice, Diagnosis, Manipulation, Same, Shown
from percuss.study.design.protocol import Protocol
from percuss.study.design.trials import Kind, Task, Trial

Given = Diagnosis | Manipulation | Choice | Same


@dataclass(frozen=True)
class Read:
    """One answered trial.

    Attributes:
        reader: R1 was enrolled first.
        number: place in the reader's order, from 1; session: from 1.
        trial: what was shown.
        truth: class of the case; patient: who it is from, empty where unknown.
        side: of the arm's image where two were shown, else empty.
        answer: as it stands, corrected or not: every result counts it.
        first: as it was first given.
        shown: how the image was looked at before the first answer.
        saved: server's time of the first answer, ISO 8601 with zone.
        versions: 1, and one more for each correction; reasons: of the corrections.
    """

    reader: str
    number: int
    session: int
    trial: Trial
    truth: str
    side: str
    answer: Given
    first: Given
    shown: Shown
    saved: str
    patient: str = ""
    versions: int = 1
    reasons: tuple[str, ...] = ()

    @property
    def right(self) -> bool | None:
        """Whether the answer is right; None of a rating, which is neither."""
        if isinstance(self.answer, Diagnosis):
            return self.answer.label == self.truth
        if isinstance(self.answer, Choice):
            return self.answer.side == self.side
        if isinstance(self.answer, Same):
            return self.answer.same == (self.trial.arm == "identical")
        return None

    @property
    def called(self) -> bool | None:
        """Whether a pair was called different; None in other tasks."""
        return not self.answer.same if isinstance(self.answer, Same) else None

    @property
    def category(self) -> str:
        """The answer as one of ``categories``: of a choice whether the changed image was chosen, whatever its side."""
        if isinstance(self.answer, Diagnosis):
            return self.answer.label
        if isinstance(self.answer, Manipulation):
            return str(self.answer.rating)
        if isinstance(self.answer, Choice):
            return "changed one" if self.right else "original"
        return "same" if self.answer.same else "different"

    @property
    def unit(self) -> tuple[str, str]:
        """What the answer is of, as what varies by chance: the patient, or the case where the patient is unknown."""
        return ("patient", self.patient) if self.patient else ("case", self.trial.case)


def categories(task: Task, protocol: Protocol) -> tuple[str, ...]:
    """Every answer that the task allows, in order."""
    if task == "diagnosis":
        return protocol.labels
    if task == "manipulation":
        return ("1", "2", "3", "4", "5")
    return ("changed one", "original") if task == "choice" else ("same", "different")


def of(reads: Iterable[Read], *, task: str, arm: str, copy: int | None = None, reader: str | None = None) -> list[Read]:
    """The reads of a task and arm, of one copy and reader where given."""
    return [
        read
        for read in reads
        if read.trial.task == task
        and read.trial.arm == arm
        and copy in (None, read.trial.copy_number)
        and reader in (None, read.reader)
    ]


def readers_of(reads: Iterable[Read]) -> list[str]:
    """Names of readers with an answer, R2 before R10."""
    return sorted({read.reader for read in reads}, key=lambda name: (len(name), name))


def shown_kinds(protocol: Protocol) -> dict[tuple[Task, str], Kind]:
    """Every task and arm that the protocol shows, in its order, with the arm's kind."""
    kinds = {arm.name: arm.kind for arm in protocol.arms}
    return {(trial.task, trial.arm): kinds[trial.arm] for trial in protocol.trials()}


def counted_cases(protocol: Protocol) -> frozenset[str]:
    """Cases in which true positives are counted: of the positive class, or all where the study has none of it."""
    positive = frozenset(case.id for case in protocol.cases if case.truth == protocol.positive)
    return positive or frozenset(case.id for case in protocol.cases)


def units(reads: Sequence[Read]) -> list[str]:
    """The unit of each read as one text."""
    return [f"{kind} {name}" for kind, name in (read.unit for read in reads)]
