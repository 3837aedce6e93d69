"""The end of a study: no answer after it, and the end of the audit trail noted beside the database."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import UsageError
from percuss.store.safe import write_bytes
from percuss.study.canonical import canonical
from percuss.study.clock import moment, stamp
from percuss.study.reasons import check_reason
from percuss.study.recorded import CLOSED
from percuss.study.tables import StudyRow, TrailRow
from percuss.study.trail import Event, Head, Record, read_line, record

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy


def close(study: OpenStudy, *, who: str, reason: str, now: datetime | None = None) -> Head:
    """Close a study for good. Answers are refused from now on; who is logged in sees that it is over.

    Returns the end of the audit trail, which also goes into closed.json: kept elsewhere too, it shows whether anybody
    wrote the trail anew. Asked again after a kill that came before closed.json, it writes that alone.

    Raises:
        UsageError: the study is closed, or ``who`` or ``reason`` is empty.
        RunError: closed.json cannot be written; the study is closed all the same.
    """
    check_reason("closing the study", who=who, reason=reason)
    with study.database.write() as session:
        at = moment(now)
        row = session.scalars(select(StudyRow)).one()
        if row.state != "open":
            written = _closing(session)
            if study.folder.closed_path.exists() or written is None:
                step = "see what it shows: percuss study results STUDY"
                raise UsageError("the study was closed before", value=row.closed, next_step=step)
        else:
            row.state, row.closed = "closed", stamp(at)
            event = Event(who=who, what=CLOSED, old="open", new="closed", reason=reason)
            written = record(session, event, now=at)
    head = Head(number=written.number, hash=written.hash)
    note = {**head.model_dump(), "time": written.time}
    write_bytes(study.folder.closed_path, (canonical(note) + "\n").encode())
    return head


def _closing(session: Session) -> Record | None:
    """The record of the closing, as the trail has it."""
    for line in session.scalars(select(TrailRow.line).order_by(TrailRow.number.desc())):
        found = read_line(line.encode())
        if found is not None and found.what == CLOSED:
            return found
    return None
