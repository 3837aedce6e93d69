"""A session opened before its wash-out is over: somebody's decision, with a reason, told in the results."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from percuss.core.errors import UsageError
from percuss.study.clock import moment, stamp
from percuss.study.reasons import check_open, check_reason, reader_called
from percuss.study.recorded import override_event
from percuss.study.standing import Standing, standing_in
from percuss.study.tables import OverrideRow
from percuss.study.trail import record

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy


def override_washout(
    study: OpenStudy, name: str, session: int, *, who: str, reason: str, now: datetime | None = None
) -> None:
    """Let a reader begin a session as soon as the one before is finished.

    Args:
        study: an open study.
        name: the reader.
        session: which, from 2.
        who: who decides it.
        reason: why; cannot be empty.
        now: the server's time with its zone; None asks the clock.

    Raises:
        UsageError: no such reader or session, a session that is open already, or no reason.
    """
    check_reason("opening a session before its wash-out is over", who=who, reason=reason)
    with study.database.write() as transaction:
        at = moment(now)
        check_open(transaction, "session opened early")
        reader = reader_called(transaction, name)
        stands = standing_in(transaction, reader.id, washout_days=study.public.washout_days, now=at)
        known = transaction.get(OverrideRow, (reader.id, session)) is not None
        _check_session(stands, name, session, known=known)
        row = OverrideRow(reader=reader.id, session=session, who=who, reason=reason, time=stamp(at))
        row.record = record(transaction, override_event(name, row), now=at).number
        transaction.add(row)


def _check_session(stands: Standing, name: str, session: int, *, known: bool) -> None:
    if not 2 <= session <= stands.sessions:
        allowed = f"2 to {stands.sessions}" if stands.sessions > 1 else "none: there is one session, or no trial"
        raise UsageError(
            f"{name} has no such session that waits for a wash-out",
            value=session,
            allowed=allowed,
            next_step="percuss study status STUDY shows where everybody stands",
        )
    open_now = session < stands.session or (session == stands.session and stands.phase != "washout")
    if known or open_now:
        step = "nothing needs to be done"
        raise UsageError(f"session {session} of {name} has no wash-out left to wait for", next_step=step)
