"""What readers answered to each arm: true positives per copy as in Foote's Table 1b, and the share right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from percuss.core.results import Interval
from percuss.core.study_results import ArmRecord
from percuss.study.answers import Diagnosis, Manipulation
from percuss.study.design.protocol import Protocol
from percuss.study.results import pooled
from percuss.study.results.read import Read, of, readers_of, shown_kinds


def arms(reads: Sequence[Read], protocol: Protocol) -> list[ArmRecord]:
    """One record for each task, arm, copy and reader, each copy of all readers, each reader over all copies, and all.

    A. Foote et al. (2022), Table 1b, are the records of task ``diagnosis`` with a copy and a reader: true positives are
    the positive cases that were called positive.
    """
    copies = [*range(1, protocol.copies + 1)]
    choices: list[int | None] = [*copies, None] if len(copies) > 1 else [1]
    names = readers_of(reads)
    who: list[str | None] = [*names, None] if len(names) > 1 else [*names] or [None]
    return [
        _record(
            of(reads, task=task, arm=arm, copy=copy, reader=reader), protocol, (task, arm, copy, reader), len(names)
        )
        for task, arm in shown_kinds(protocol)
        for copy in choices
        for reader in who
    ]


def _record(
    reads: Sequence[Read], protocol: Protocol, place: tuple[str, str, int | None, str | None], readers: int
) -> ArmRecord:
    task, arm, copy, reader = place
    asked = len(protocol.cases) * (protocol.copies if copy is None else 1) * (readers if reader is None else 1)
    diagnosis = task == "diagnosis"
    positive = [read for read in reads if read.truth == protocol.positive]
    hits = sum(read.right is True for read in positive)
    return ArmRecord(
        task=task,
        arm=arm,
        copy_number=copy,
        reader=reader,
        asked=asked,
        answered=len(reads),
        true_positives=hits if diagnosis else None,
        positives=len(positive) if diagnosis else None,
        right=None if task == "manipulation" else right(reads),
        per_class={
            label: right([read for read in reads if read.truth == label]) for label in _truths(protocol) if diagnosis
        },
        rating=rating(reads),
    )


def right(reads: Sequence[Read]) -> Interval:
    """Share of right answers."""
    return pooled.share(reads, [read.right is True for read in reads])


def rating(reads: Sequence[Read]) -> Interval | None:
    """Mean rating of manipulation, or mean confidence of a diagnosis; None in tasks that ask for neither."""
    values = ratings(reads)
    return pooled.average(reads, values) if values else None


def ratings(reads: Iterable[Read]) -> list[float]:
    """Ratings of manipulation, confidences of diagnoses; empty in other tasks."""
    found = []
    for read in reads:
        if isinstance(read.answer, Manipulation):
            found.append(float(read.answer.rating))
        elif isinstance(read.answer, Diagnosis):
            found.append(float(read.answer.confidence))
    return found


def _truths(protocol: Protocol) -> list[str]:
    return [label for label in protocol.labels if any(case.truth == label for case in protocol.cases)]
