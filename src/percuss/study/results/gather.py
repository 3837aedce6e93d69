"""The answers of a closed study joined with its key, and what else its database and trail hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.study.answers import Answer, Shown
from percuss.study.design.key import Key
from percuss.study.export_tables import Known
from percuss.study.recorded import CLOSED
from percuss.study.results.happened import Correction, Happened, Override, Person
from percuss.study.results.read import Given, Read
from percuss.study.tables import AnswerRow, OverrideRow, PlaceRow, ReaderRow, StudyRow, TrailRow
from percuss.study.trail import Record, read_line

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy

_ANSWER: TypeAdapter[Given] = TypeAdapter(Answer)


def gather(study: OpenStudy, key: Key) -> list[Read]:
    """Every answered trial, by reader in the order of enrolment and place, with the answer that counts.

    Readers are called R1, R2, ... as they were enrolled, answers or none; the export has the same names.

    Raises:
        RunError: the key does not know a trial of the database.
    """
    with study.database.read() as session:
        known = Known.of(session, key)
        cases = {case.id: case for case in known.protocol.cases}
        versions = _versions(session)
        found = []
        for place in session.scalars(select(PlaceRow).order_by(PlaceRow.reader, PlaceRow.number)):
            rows = versions.get((place.reader, place.number))
            if rows is None or place.reader not in known.readers:
                continue
            trial = known.trial(place)
            case = cases[trial.case]
            found.append(
                Read(
                    reader=known.readers[place.reader],
                    number=place.number,
                    session=place.session,
                    trial=trial,
                    truth=case.truth,
                    patient=case.patient,
                    side=known.side(place),
                    answer=_ANSWER.validate_python(rows[-1].answer),
                    first=_ANSWER.validate_python(rows[0].answer),
                    shown=Shown.model_validate(rows[0].shown),
                    saved=rows[0].saved,
                    versions=len(rows),
                    reasons=tuple(row.reason for row in rows[1:]),
                )
            )
        return found


def happened(study: OpenStudy, key: Key, *, faults: Sequence[str] = ()) -> Happened:
    """What else happened; ``faults`` are what verification found.

    Reasons stand as they were given: a name that somebody wrote into one is in the results.
    """
    with study.database.read() as session:
        known = Known.of(session, key)
        lines = session.scalars(select(TrailRow.line).order_by(TrailRow.number))
        trail = [record for record in (read_line(line.encode("utf-8", "surrogatepass")) for line in lines) if record]
        row = session.scalars(select(StudyRow)).one()
        closing = [record.reason for record in trail if record.what == CLOSED]
        return Happened(
            people=tuple(_people(session, known, trail)),
            overrides=tuple(
                Override(known.readers[item.reader], item.session, item.reason, item.time)
                for item in session.scalars(select(OverrideRow).order_by(OverrideRow.record))
                if item.reader in known.readers
            ),
            corrections=tuple(_corrections(session, known)),
            faults=tuple(_without_names(fault, session, known) for fault in faults),
            closed=row.closed or "",
            reason=closing[-1] if closing else "",
        )


def _without_names(text: str, session: Session, known: Known) -> str:
    """A sentence of Percuss's own with R1, R2, ... for the names of readers, the longest first."""
    rows = session.scalars(select(ReaderRow).where(ReaderRow.role == "reader")).all()
    for row in sorted(rows, key=lambda row: -len(row.name)):
        text = re.sub(rf"(?<!\w){re.escape(row.name)}(?!\w)", known.readers[row.id], text)
    return text


def _versions(session: Session) -> dict[tuple[int, int], list[AnswerRow]]:
    """Answers of each place, the first one first."""
    found: dict[tuple[int, int], list[AnswerRow]] = {}
    for row in session.scalars(select(AnswerRow).order_by(AnswerRow.version)):
        found.setdefault((row.reader, row.number), []).append(row)
    return found


def _people(session: Session, known: Known, trail: Sequence[Record]) -> list[Person]:
    totals: dict[int, int] = {}
    for reader in session.scalars(select(PlaceRow.reader)):
        totals[reader] = totals.get(reader, 0) + 1
    order: dict[int, list[int]] = {}
    first = select(AnswerRow.reader, AnswerRow.number).where(AnswerRow.version == 1).order_by(AnswerRow.record)
    for reader, number in session.execute(first):
        order.setdefault(reader, []).append(number)
    rows = session.scalars(select(ReaderRow).where(ReaderRow.role == "reader").order_by(ReaderRow.id))
    return [
        Person(
            name=known.readers[row.id],
            total=totals.get(row.id, 0),
            revoked=row.revoked,
            why=_why_revoked(trail, row.name) if row.revoked else "",
            display=_display(trail, row.name),
            order=tuple(order.get(row.id, ())),
        )
        for row in rows
    ]


def _why_revoked(trail: Sequence[Record], name: str) -> str:
    reasons = [record.reason for record in trail if record.what == f"revoke {name}"]
    return reasons[-1] if reasons else ""


def _display(trail: Sequence[Record], name: str) -> Mapping[str, Any]:
    """What a reader said of their screen last."""
    said = [record.new for record in trail if record.what == "display" and record.who == name]
    return said[-1] if said and isinstance(said[-1], dict) else {}


def _corrections(session: Session, known: Known) -> list[Correction]:
    found = []
    for (reader, number), rows in _versions(session).items():
        for before, after in pairwise(rows):
            if reader in known.readers:
                name = known.readers[reader]
                found.append(Correction(name, number, before.answer, after.answer, after.reason, after.saved))
    return sorted(found, key=lambda item: item.time)
