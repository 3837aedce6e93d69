"""Answers, saved once: the answer and its record in the audit trail are written together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import PercussError, UsageError
from percuss.study.answers import Sent, as_json, check_answer
from percuss.study.canonical import canonical
from percuss.study.clock import moment
from percuss.study.design.trials import Task
from percuss.study.reasons import check_text, is_open
from percuss.study.recorded import answer_event
from percuss.study.standing import row_of_token, standing_in
from percuss.study.tables import AnswerRow, PlaceRow, ReaderRow
from percuss.study.trail import Event, record

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy


class Refused(PercussError):
    """An answer that is not saved.

    Args:
        thing: as of every error.
        status: HTTP status that says so: 403, 404, 409 or 422.
        code: one word for programs.
        next_step: what the reader can do.
    """

    def __init__(self, thing: str, *, status: int, code: str, next_step: str) -> None:
        super().__init__(thing, next_step=next_step)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Saved:
    """What is in the database for good.

    Attributes:
        number: the place that was answered.
        version: 1, or one more with each correction.
        saved: the server's time then, ISO 8601 with zone.
        again: the same answer had come before; nothing was written now.
    """

    number: int
    version: int
    saved: str
    again: bool


@dataclass(frozen=True)
class Given:
    """The answer that counts at a place: its last version."""

    id: str
    number: int
    version: int
    answer: dict[str, Any]
    reason: str
    saved: str


def save_answer(study: OpenStudy, reader_id: int, sent: Sent, *, now: datetime | None = None) -> Saved:
    """Save an answer, or a correction of one; returns when it is committed.

    The same id with the same trial, answer and reason is acknowledged again, even where no answer is taken any more:
    its reply was lost, not the answer. What else was shown may differ, as it counts how often the answer was sent.

    Args:
        study: the study.
        reader_id: who answers.
        sent: the answer. Without a reason it is the first to the reader's next place; with one it corrects any place
            that is answered.
        now: the server's time with its zone; None asks the clock.

    Raises:
        Refused: status 403 ``not-a-reader``; 404 ``unknown-trial``, another reader's too; 409 ``id-used`` by another
            answer, ``closed``, ``not-next``, ``session-not-open``, ``answered`` (a correction needs a reason) or
            ``not-answered`` (nothing to correct); 422 ``not-an-answer`` to this task.
    """
    with study.database.write() as session:
        at = moment(now)
        name = _name(session, reader_id)
        known = session.get(AnswerRow, str(sent.id))
        place = row_of_token(session, reader_id, sent.trial)
        if known is not None:
            return _again(known, sent, place)
        if not is_open(session):
            raise Refused("the study is closed", status=409, code="closed", next_step="there is nothing left to do")
        if place is None:
            raise Refused("there is no such trial", status=404, code="unknown-trial", next_step="load the page again")
        _check(study, sent, place)
        before = _last(session, reader_id, place.number)
        if before is None:
            _check_next(study, session, place, sent, at)
            _note_begin(session, place, name, at)
        elif not sent.reason.strip():
            step = "to correct it, say why"
            raise Refused("this trial is answered already", status=409, code="answered", next_step=step)
        return _write(session, _row(sent, place, before), before, name=name, at=at)


def given(study: OpenStudy, reader_id: int, number: int) -> Given | None:
    """The answer that counts at a place, the last version; None where there is none."""
    with study.database.read() as session:
        row = _last(session, reader_id, number)
        if row is None:
            return None
        return Given(row.id, row.number, row.version, answer=dict(row.answer), reason=row.reason, saved=row.saved)


def _name(session: Session, reader_id: int) -> str:
    reader = session.get(ReaderRow, reader_id)
    if reader is None or reader.role != "reader" or reader.revoked is not None:
        step = "log in with the code of a reader"
        raise Refused("answers come from readers", status=403, code="not-a-reader", next_step=step)
    return reader.name


def _again(known: AnswerRow, sent: Sent, place: PlaceRow | None) -> Saved:
    """The same acknowledgement, for the same answer of the same reader."""
    ours = place is not None and (known.reader, known.number) == (place.reader, place.number)
    if ours and canonical(known.answer) == canonical(as_json(sent.answer)) and known.reason == sent.reason:
        return Saved(number=known.number, version=known.version, saved=known.saved, again=True)
    step = "draw a new id for each answer"
    raise Refused("another answer has this id", status=409, code="id-used", next_step=step)


def _check(study: OpenStudy, sent: Sent, place: PlaceRow) -> None:
    try:
        check_answer(sent.answer, cast(Task, place.task), study.public.labels)
        check_text("a reason", sent.reason)
        check_text("a comment", sent.answer.comment)
    except UsageError as error:
        step = "answer what is asked"
        raise Refused(str(error), status=422, code="not-an-answer", next_step=step) from error


def _check_next(study: OpenStudy, session: Session, place: PlaceRow, sent: Sent, at: datetime) -> None:
    if sent.reason.strip():
        step = "answer it first"
        raise Refused("this trial has no answer to correct", status=409, code="not-answered", next_step=step)
    stands = standing_in(session, place.reader, washout_days=study.public.washout_days, now=at)
    if stands.done + 1 != place.number:
        step = "load the page again: it shows the trial whose turn it is"
        raise Refused("this trial is not the next one", status=409, code="not-next", next_step=step)
    if stands.phase != "reading":
        step = f"come back after {stands.opens}"
        raise Refused("the next session is not open yet", status=409, code="session-not-open", next_step=step)


def _note_begin(session: Session, place: PlaceRow, name: str, at: datetime) -> None:
    before = session.get(PlaceRow, (place.reader, place.number - 1))
    if before is None or before.session != place.session:
        record(session, Event(who=name, what=f"session {place.session} begins"), now=at)


def _last(session: Session, reader_id: int, number: int) -> AnswerRow | None:
    there = select(AnswerRow).where(AnswerRow.reader == reader_id, AnswerRow.number == number)
    return session.scalars(there.order_by(AnswerRow.version.desc()).limit(1)).one_or_none()


def _row(sent: Sent, place: PlaceRow, before: AnswerRow | None) -> AnswerRow:
    return AnswerRow(
        id=str(sent.id),
        reader=place.reader,
        number=place.number,
        version=1 if before is None else before.version + 1,
        answer=as_json(sent.answer),
        shown=as_json(sent.shown),
        reason=sent.reason,
    )


def _write(session: Session, row: AnswerRow, before: AnswerRow | None, *, name: str, at: datetime) -> Saved:
    """The record first: the answer names it."""
    written = record(session, answer_event(name, row, before), now=at)
    row.saved, row.record = written.time, written.number
    session.add(row)
    return Saved(number=row.number, version=row.version, saved=row.saved, again=False)
