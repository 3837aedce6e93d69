"""What of a study's database cannot be read any more, before anything of it is held against the trail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from sqlalchemy import Text, select, text, type_coerce
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from percuss.study.tables import AnswerRow
from percuss.study.trail import Record
from percuss.study.verification.rows import row_faults


def page_faults(session: Session) -> list[str]:
    """What SQLite's own check finds in its file; PostgreSQL looks after its pages itself, and there is nothing."""
    if session.get_bind().dialect.name != "sqlite":
        return []
    try:
        told = [str(line) for line in session.execute(text("PRAGMA integrity_check(5)")).scalars()]
    except SQLAlchemyError as error:
        told = [str(getattr(error, "orig", error))]
    return [f"study.db: {line}" for found in told for line in found.splitlines() if line != "ok"]


def readable_row_faults(session: Session, records: Mapping[int, Record]) -> list[str]:
    """``row_faults``; where a row cannot even be read, that is the fault.

    Args:
        session: a reading session.
        records: the trail by number.
    """
    broken = list(_broken_answers(session))
    try:
        return [*broken, *row_faults(session, records)]
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        return broken or [f"the database: a row cannot be read any more ({error})"]


def _broken_answers(session: Session) -> Iterator[str]:
    """Answers whose text is no JSON any more; a database with a type for JSON holds none."""
    if session.get_bind().dialect.name != "sqlite":
        return
    raw = (type_coerce(AnswerRow.answer, Text), type_coerce(AnswerRow.shown, Text))
    for reader, number, version, *values in session.execute(
        select(AnswerRow.reader, AnswerRow.number, AnswerRow.version, *raw).order_by(AnswerRow.record)
    ):
        try:
            sound = all(isinstance(json.loads(value), dict) for value in values)
        except (ValueError, TypeError):
            sound = False
        if not sound:
            yield f"answer {number} of reader {reader}, version {version}: not as it was written, and cannot be read"
