"""Everything that left the protocol, and every doubt about how the study was read, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from percuss.core.study_results import DeviationRecord
from percuss.study.design.protocol import Frozen, Protocol, in_force
from percuss.study.results.attention import attention
from percuss.study.results.deviation import deviation
from percuss.study.results.happened import Happened, Person
from percuss.study.results.looking import looking
from percuss.study.results.read import Read

_ORDER = {"severe": 0, "warning": 1, "info": 2}
#: Share of corrected answers above which they are a doubt.
MANY_CORRECTIONS = 0.1


def deviations(reads: Sequence[Read], frozen: Frozen, happened: Happened) -> list[DeviationRecord]:
    """All of them, severe ones first, otherwise study, readers, answers.

    Args:
        reads: every answered trial.
        frozen: the protocol with its amendments.
        happened: what else the database and the trail hold.
    """
    protocol = in_force(frozen)
    found = [
        *_faults(happened),
        *_amendments(reads, frozen),
        *_number_of_readers(happened, protocol),
        *(record for person in happened.people for record in _person(person, happened)),
        *_overrides(happened),
        *_short_washouts(reads, protocol, happened),
        *looking(reads),
        *attention(reads),
    ]
    return sorted(found, key=lambda record: _ORDER[record.severity])


def _faults(happened: Happened) -> Iterator[DeviationRecord]:
    for fault in happened.faults:
        yield deviation("trail-unsound", "severe", f"Verification failed: {fault}.")


def _amendments(reads: Sequence[Read], frozen: Frozen) -> Iterator[DeviationRecord]:
    first = min((datetime.fromisoformat(read.saved) for read in reads), default=None)
    for amendment in frozen.amendments:
        late = first is not None and datetime.fromisoformat(amendment.time) > first
        when = "after the first answer" if late else "before the first answer"
        fields = ", ".join(amendment.changes)
        yield deviation(
            "amended",
            "warning" if late else "info",
            f"Amendment {amendment.number}, {when}: {fields}. Reason: {amendment.reason}",
            number=amendment.number,
            time=amendment.time,
            after_first_answer=late,
            fields=list(amendment.changes),
            hash=amendment.hash,
        )


def _number_of_readers(happened: Happened, protocol: Protocol) -> Iterator[DeviationRecord]:
    finished, planned = sum(person.finished for person in happened.people), protocol.readers
    if finished == planned:
        return
    kind, severity = ("fewer-readers", "warning") if finished < planned else ("more-readers", "info")
    message = f"{planned} reader{'s were' if planned > 1 else ' was'} planned; {finished} answered everything."
    yield deviation(kind, severity, message, count=abs(planned - finished), planned=planned, finished=finished)


def _person(person: Person, happened: Happened) -> Iterator[DeviationRecord]:
    name = person.name
    if not person.finished:
        message = f"{name} answered {person.answered} of {person.total} trials."
        yield deviation(
            "unfinished",
            "warning",
            message,
            reader=name,
            count=person.total - person.answered,
            answered=person.answered,
        )
    if person.revoked is not None:
        why = f" Reason: {person.why}" if person.why else ""
        yield deviation("revoked", "warning", f"The access of {name} was ended.{why}", reader=name, time=person.revoked)
    if list(person.order) != [*range(1, person.answered + 1)]:
        message = f"Answers of {name} do not follow the order that was drawn, which the server does not allow."
        yield deviation("out-of-order", "severe", message, reader=name, order=list(person.order)[:1000])
    yield from _corrections(person, happened)
    if person.answered and not person.display:
        yield deviation("display-unknown", "info", f"{name} said nothing of the display.", reader=name)


def _corrections(person: Person, happened: Happened) -> Iterator[DeviationRecord]:
    own = [item for item in happened.corrections if item.reader == person.name]
    if own:
        changed = [{"place": c.number, "old": dict(c.old), "new": dict(c.new), "reason": c.reason} for c in own]
        message = f"{person.name} corrected {len(own)} answer{'s' if len(own) > 1 else ''}; the last one counts."
        severity = "warning" if len(own) > MANY_CORRECTIONS * person.answered else "info"
        yield deviation("corrected", severity, message, reader=person.name, count=len(own), corrections=changed)


def _overrides(happened: Happened) -> Iterator[DeviationRecord]:
    for item in happened.overrides:
        message = (
            f"Session {item.session} of {item.reader} was opened before its wash-out was over. Reason: {item.reason}"
        )
        yield deviation(
            "washout-overridden", "warning", message, reader=item.reader, session=item.session, time=item.time
        )


def _short_washouts(reads: Sequence[Read], protocol: Protocol, happened: Happened) -> Iterator[DeviationRecord]:
    """Sessions that began too early with nobody having said so: the server refuses them, so something is wrong."""
    excused = {(item.reader, item.session) for item in happened.overrides}
    times: dict[tuple[str, int], list[datetime]] = {}
    for read in reads:
        times.setdefault((read.reader, read.session), []).append(datetime.fromisoformat(read.saved))
    for (reader, session), saved in times.items():
        before = times.get((reader, session - 1))
        if before is None or (reader, session) in excused:
            continue
        days = (min(saved) - max(before)).total_seconds() / 86400
        if days < protocol.washout_days:
            asked = f"{protocol.washout_days:g} were asked"
            message = f"Session {session} of {reader} began {days:.2g} days after the one before; {asked}."
            yield deviation("washout-short", "severe", message, reader=reader, session=session, days=days)
