"""Answers, overrides, readers and orders held against the trail: nothing changed, nothing lost, nothing invented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.study.recorded import CLOSED, answer_event, override_event
from percuss.study.tables import AnswerRow, OverrideRow, PlaceRow, ReaderRow, SlotRow
from percuss.study.trail import Event, Record
from percuss.study.verification.orders import order_faults
from percuss.study.verification.people import people_faults

#: Beginnings of what the trail calls acts that leave a row behind.
_ANSWERS = ("answer ", "correct ")
_OVERRIDES = ("wash-out overridden ",)


def row_faults(session: Session, records: Mapping[int, Record]) -> Iterator[str]:
    """Every row that is not as the trail says, and every record whose row is gone, in words.

    Args:
        session: a reading session.
        records: the trail by number, as far as it can be read.
    """
    readers = {row.id: row for row in session.scalars(select(ReaderRow).order_by(ReaderRow.id))}
    yield from _answers(session, records, readers)
    yield from _overrides(session, records, readers)
    yield from people_faults(session, readers.values(), records)
    yield from _places(session, readers.values())
    yield from order_faults(session, records)


def _answers(session: Session, records: Mapping[int, Record], readers: Mapping[int, ReaderRow]) -> Iterator[str]:
    rows = session.scalars(select(AnswerRow).order_by(AnswerRow.reader, AnswerRow.number, AnswerRow.version)).all()
    closing = next((number for number, record in sorted(records.items()) if record.what == CLOSED), None)
    last: dict[tuple[int, int], AnswerRow] = {}
    for row in rows:
        reader, place = readers.get(row.reader), (row.reader, row.number)
        before = last.get(place)
        named = f"answer {row.number} of {reader.name if reader else f'reader {row.reader}'}, version {row.version}"
        if reader is None or row.version != (before.version + 1 if before else 1):
            yield f"{named}: no version {row.version - 1} before it, or nobody who gave it"
        else:
            yield from _held(named, records.get(row.record), answer_event(reader.name, row, before), row.saved)
        if closing is not None and row.record > closing:
            yield f"{named}: saved after the study was closed"
        last[place] = row
    yield from _lost(records, _ANSWERS, {row.record for row in rows})


def _overrides(session: Session, records: Mapping[int, Record], readers: Mapping[int, ReaderRow]) -> Iterator[str]:
    rows = session.scalars(select(OverrideRow).order_by(OverrideRow.record)).all()
    for row in rows:
        name = readers[row.reader].name if row.reader in readers else f"reader {row.reader}"
        named = f"override of session {row.session} of {name}"
        yield from _held(named, records.get(row.record), override_event(name, row), row.time)
    yield from _lost(records, _OVERRIDES, {row.record for row in rows})


def _places(session: Session, readers: Iterable[ReaderRow]) -> Iterator[str]:
    slots: dict[int, list[object]] = {}
    for slot in session.scalars(select(SlotRow).order_by(SlotRow.slot, SlotRow.number)):
        shown = (slot.number, slot.session, slot.trial, slot.task, slot.left_file, slot.right_file)
        slots.setdefault(slot.slot, []).append(shown)
    places: dict[int, list[object]] = {}
    for row in session.scalars(select(PlaceRow).order_by(PlaceRow.reader, PlaceRow.number)):
        seen = (row.number, row.session, row.trial, row.task, row.left_file, row.right_file)
        places.setdefault(row.reader, []).append(seen)
    for reader in readers:
        drawn = [] if reader.slot is None else slots.get(reader.slot, [])
        if places.get(reader.id, []) != drawn:
            yield f"{reader.name}: the places are not those of the order that was drawn"


def _held(named: str, record: Record | None, event: Event, time: str) -> Iterator[str]:
    """What a row says against the record that it names."""
    if record is None or record.what != event.what or record.who != event.who:
        yield f"{named}: not in the trail"
        return
    # A record is an event and more: the fields of the event are compared one by one.
    differs = [field for field in Event.model_fields if getattr(record, field) != getattr(event, field)]
    if record.time != time:
        differs.append("time")
    if differs:
        yield f"{named}: not as in record {record.number} of the trail ({', '.join(differs)})"


def _lost(records: Mapping[int, Record], acts: tuple[str, ...], named: set[int]) -> Iterator[str]:
    for number, record in sorted(records.items()):
        if record.what.startswith(acts) and number not in named:
            yield f"record {number} ({record.what} of {record.who}) has no row: it was removed"
