"""Whether readers paid attention, and whether the blinding held: controls that all see, identical pairs, memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from percuss.core.study_results import DeviationRecord
from percuss.study.answers import Manipulation
from percuss.study.results.deviation import deviation
from percuss.study.results.read import Read, readers_of

#: Share of identical pairs called different above which a reader's "different" says little.
MANY_ALARMS = 0.5
#: A visible change rated so or below was missed.
UNSEEN = 2


def attention(reads: Sequence[Read]) -> Iterator[DeviationRecord]:
    """Visible controls missed, identical pairs called different, and cases that readers remembered, by reader."""
    for reader in readers_of(reads):
        own = [read for read in reads if read.reader == reader]
        yield from _missed(reader, own)
        yield from _alarms(reader, own)
        yield from _remembered(reader, own)


def _missed(reader: str, reads: Sequence[Read]) -> Iterator[DeviationRecord]:
    visible = [read for read in reads if read.trial.arm.startswith("visible") and read.trial.task != "diagnosis"]
    missed = [read for read in visible if _unseen(read)]
    if missed:
        message = f"{reader} missed {len(missed)} of {len(visible)} changes that everybody can see: was attention paid?"
        yield deviation(
            "visible-missed",
            "warning",
            message,
            reader=reader,
            count=len(missed),
            shown=len(visible),
            places=[read.number for read in missed],
        )


def _unseen(read: Read) -> bool:
    if isinstance(read.answer, Manipulation):
        return read.answer.rating <= UNSEEN
    return read.right is False


def _alarms(reader: str, reads: Sequence[Read]) -> Iterator[DeviationRecord]:
    identical = [read for read in reads if read.trial.arm == "identical"]
    called = [read for read in identical if read.called]
    if called:
        share = len(called) / len(identical)
        message = f"{reader} called {len(called)} of {len(identical)} identical pairs different ({100 * share:.0f} %)."
        severity = "warning" if share > MANY_ALARMS else "info"
        yield deviation(
            "identical-called-different", severity, message, reader=reader, count=len(called), shown=len(identical)
        )


def _remembered(reader: str, reads: Sequence[Read]) -> Iterator[DeviationRecord]:
    asked = [read for read in reads if read.answer.seen is not None]
    seen = [read for read in asked if read.answer.seen]
    if seen:
        message = f"{reader} remembered the case in {len(seen)} of {len(asked)} answers in which this was asked."
        yield deviation(
            "remembered",
            "info",
            message,
            reader=reader,
            count=len(seen),
            asked=len(asked),
            places=[read.number for read in seen],
        )
