"""How far a study is: what an administrator may see before it is closed, and no answer among it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.study.clock import moment
from percuss.study.standing import standing_in
from percuss.study.tables import AnswerRow, ReaderRow, StudyRow
from percuss.study.trail import Head, head

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy


@dataclass(frozen=True)
class ReaderStatus:
    """How far one person is.

    Attributes:
        name, role: as enrolled.
        phase, done, total, session, sessions, opens: as in ``Standing``; an administrator has no trials.
        last_saved: when an answer of theirs was saved last, ISO 8601 with zone; None before the first.
        corrections: answers that were given again, with a reason.
        enrolled, revoked: when; ``revoked`` is None where they have access.
    """

    name: str
    role: str
    phase: str
    done: int
    total: int
    session: int
    sessions: int
    opens: str | None
    last_saved: str | None
    corrections: int
    enrolled: str
    revoked: str | None


@dataclass(frozen=True)
class StudyStatus:
    """``state`` is open or closed, ``closed`` when; everybody in the order of enrolment; the end of the audit trail."""

    state: str
    closed: str | None
    readers: tuple[ReaderStatus, ...]
    head: Head


def status(study: OpenStudy, *, now: datetime | None = None) -> StudyStatus:
    """How far everybody is, at the server's time ``now`` (None asks the clock)."""
    at = moment(now)
    with study.database.read() as session:
        row = session.scalars(select(StudyRow)).one()
        people = session.scalars(select(ReaderRow).order_by(ReaderRow.id)).all()
        readers = tuple(_status(session, reader, study.public.washout_days, at) for reader in people)
        return StudyStatus(state=row.state, closed=row.closed, readers=readers, head=head(session))


def _status(session: Session, reader: ReaderRow, washout_days: float, at: datetime) -> ReaderStatus:
    stands = standing_in(session, reader.id, washout_days=washout_days, now=at)
    theirs = select(AnswerRow.saved, AnswerRow.version).where(AnswerRow.reader == reader.id).order_by(AnswerRow.record)
    saved = session.execute(theirs).all()
    return ReaderStatus(
        name=reader.name,
        role=reader.role,
        phase=stands.phase,
        done=stands.done,
        total=stands.total,
        session=stands.session,
        sessions=stands.sessions,
        opens=stands.opens,
        last_saved=saved[-1][0] if saved else None,
        corrections=sum(row[1] > 1 for row in saved),
        enrolled=reader.enrolled,
        revoked=reader.revoked,
    )
