"""Who may take part, and which browsers are logged in."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from percuss.core.errors import UsageError
from percuss.study.clock import moment, stamp
from percuss.study.credentials import Credentials, alike, check_name, draw, hash_of_secret, hash_of_token
from percuss.study.reasons import check_open, check_reason, check_who, reader_called
from percuss.study.recorded import access_digest, enrolment
from percuss.study.tables import LoginRow, PlaceRow, ReaderRow, SlotRow
from percuss.study.trail import Event, record

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy

#: A login ends after so long without a request, and in any case so long after it began.
IDLE, ABSOLUTE = timedelta(hours=12), timedelta(days=7)
#: How exactly the last request of a login is kept: it is not written down more often than this.
_SEEN_STEP = timedelta(minutes=1)
_ROLES = ("reader", "administrator")


@dataclass(frozen=True)
class Reader:
    """Somebody who is logged in; ``role`` is ``reader`` or ``administrator``."""

    id: int
    name: str
    role: str


@dataclass(frozen=True)
class Login:
    """A browser that is logged in: the token for its cookie, the one that guards its posts, and whose it is."""

    token: str = field(repr=False)
    csrf: str = field(repr=False)
    reader: Reader


def enrol(
    study: OpenStudy, name: str, *, role: str = "reader", who: str = "administrator", now: datetime | None = None
) -> Credentials:
    """Take somebody in, a reader with the next order that was drawn; their code and link, shown this once.

    Args:
        study: an open study.
        name: 1 to 200 printable characters, stored as given; nobody else's, whatever case and accents are written like.
        role: ``reader``, or ``administrator``, who sees progress and no trials.
        who: who decides it, for the audit trail.
        now: the server's time with its zone; None asks the clock.

    Raises:
        UsageError: a name that is taken or cannot be one, an unknown role, a closed study, or no order left.
    """
    check_name(name, role)
    if role not in _ROLES:
        raise UsageError("there is no such role", value=role, allowed=" or ".join(_ROLES), next_step="give one of them")
    check_who("enrolling a reader", who)
    credentials = draw(name, role)
    with study.database.write() as session:
        at = moment(now)
        check_open(session, "enrolment")
        _check_new(session, name)
        reader = ReaderRow(
            name=name,
            role=role,
            slot=_next_slot(session) if role == "reader" else None,
            code_hash=hash_of_secret(credentials.code),
            link_hash=hash_of_secret(credentials.link_token),
            enrolled=stamp(at),
        )
        session.add(reader)
        session.flush()
        _draw_tokens(session, reader)
        record(session, Event(who=who, what=f"enrol {role} {name}", new=enrolment(reader)), now=at)
    return credentials


def revoke(study: OpenStudy, name: str, *, who: str, reason: str, now: datetime | None = None) -> None:
    """Shut somebody out: no new login, and every browser of theirs is logged out. Their answers stay.

    UsageError where nobody is called so, they are shut out already, or ``who`` or ``reason`` is empty.
    """
    check_reason("shutting somebody out", who=who, reason=reason)
    with study.database.write() as session:
        at = moment(now)
        reader = reader_called(session, name)
        if reader.revoked is not None:
            step = f"if they are to come back, a new code lets them in: percuss study renew STUDY {_named(name)}"
            raise UsageError("the access of this person was ended before", value=name, next_step=step)
        reader.revoked = stamp(at)
        _end_logins(session, reader.id, at)
        record(session, Event(who=who, what=f"revoke {name}", reason=reason), now=at)


def renew(study: OpenStudy, name: str, *, who: str, reason: str, now: datetime | None = None) -> Credentials:
    """A new code and link for somebody who is enrolled, shut out or not; the old ones and all logins end.

    UsageError where nobody is called so, ``who`` or ``reason`` is empty, or the study is closed and they are a reader.
    """
    check_reason("a new code", who=who, reason=reason)
    with study.database.write() as session:
        at = moment(now)
        reader = reader_called(session, name)
        if reader.role == "reader":
            check_open(session, "new code for a reader")
        credentials = draw(name, reader.role)
        reader.code_hash = hash_of_secret(credentials.code)
        reader.link_hash = hash_of_secret(credentials.link_token)
        reader.revoked = None
        _end_logins(session, reader.id, at)
        event = Event(who=who, what=f"renew {name}", new={"access": access_digest(reader)}, reason=reason)
        record(session, event, now=at)
    return credentials


def log_in(study: OpenStudy, secret: str, *, now: datetime | None = None) -> Login | None:
    """Log a browser in by a code, or by the token of a link; None where it is nobody's or its owner is shut out.

    Who asks often enough must be slowed down by the caller: nothing is counted here.
    """
    wanted = hash_of_secret(secret)
    with study.database.read() as session:
        if _owner(session, wanted) is None:  # the usual wrong code takes no turn from those who write
            return None
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with study.database.write() as session:
        at = moment(now)
        owner = _owner(session, wanted)
        if owner is None:
            return None
        row = LoginRow(token_hash=hash_of_token(token), reader=owner.id, csrf=csrf, created=stamp(at), seen=stamp(at))
        session.add(row)
        record(session, Event(who=owner.name, what="log in"), now=at)
        return Login(token=token, csrf=csrf, reader=_reader(owner))


def login_of(study: OpenStudy, token: str, *, now: datetime | None = None) -> Login | None:
    """The login that a cookie stands for; None where it is unknown, ended or too old, or its owner was shut out."""
    wanted, at = hash_of_token(token), moment(now)
    with study.database.read() as session:
        row = session.get(LoginRow, wanted)
        owner = None if row is None else session.get(ReaderRow, row.reader)
        if row is None or owner is None or row.ended is not None or owner.revoked is not None:
            return None
        seen, created = datetime.fromisoformat(row.seen), datetime.fromisoformat(row.created)
        login = Login(token=token, csrf=row.csrf, reader=_reader(owner))
    if at - seen >= IDLE or at - created >= ABSOLUTE:
        return None
    if at - seen >= _SEEN_STEP:
        with study.database.write() as session:
            later = update(LoginRow).where(LoginRow.token_hash == wanted, LoginRow.ended.is_(None))
            session.execute(later.values(seen=stamp(at)))
    return login


def log_out(study: OpenStudy, token: str, *, now: datetime | None = None) -> None:
    """End the login that a cookie stands for; nothing happens where there is none."""
    with study.database.write() as session:
        at = moment(now)
        row = session.get(LoginRow, hash_of_token(token))
        owner = None if row is None else session.get(ReaderRow, row.reader)
        if row is None or owner is None or row.ended is not None:
            return
        row.ended = stamp(at)
        record(session, Event(who=owner.name, what="log out"), now=at)


def _check_new(session: Session, name: str) -> None:
    for known in session.scalars(select(ReaderRow.name)):
        if alike(known) == alike(name):
            step = f"give another name, or the same person a new code: percuss study renew STUDY {_named(known)}"
            raise UsageError("somebody of this name is enrolled", value=known, next_step=step)


def _named(name: str) -> str:
    return f"--name {shlex.quote(name)} --reason WHY"


def _reader(row: ReaderRow) -> Reader:
    return Reader(id=row.id, name=row.name, role=row.role)


def _owner(session: Session, wanted: str) -> ReaderRow | None:
    """Found by hash: what the database's comparison takes tells nothing about a secret that is not known already."""
    either = or_(ReaderRow.code_hash == wanted, ReaderRow.link_hash == wanted)
    return session.scalars(select(ReaderRow).where(either, ReaderRow.revoked.is_(None))).one_or_none()


def _next_slot(session: Session) -> int:
    """The first order that no reader has or had: orders are balanced over readers who follow each other."""
    taken = select(ReaderRow.slot).where(ReaderRow.slot.is_not(None))
    free = select(SlotRow.slot).where(SlotRow.slot.not_in(taken)).order_by(SlotRow.slot).limit(1)
    slot = session.scalars(free).first()
    if slot is None:
        used = len(session.scalars(taken).all())
        raise UsageError(
            "every order that was drawn for this study has its reader",
            value=f"{used} readers",
            allowed="as many readers as orders were drawn: nobody takes over another's",
            next_step="draw more, with the secret of the key: percuss study amend STUDY --more-readers N --reason WHY",
        )
    return slot


def _draw_tokens(session: Session, reader: ReaderRow) -> None:
    """The places of a new reader, each and each of its images under a random token that nobody else has."""
    for place in session.scalars(select(SlotRow).where(SlotRow.slot == reader.slot)).all():
        session.add(
            PlaceRow(
                reader=reader.id,
                number=place.number,
                token=secrets.token_hex(16),
                session=place.session,
                trial=place.trial,
                task=place.task,
                left_token=secrets.token_hex(16),
                left_file=place.left_file,
                right_token=secrets.token_hex(16) if place.right_file else None,
                right_file=place.right_file,
            )
        )


def _end_logins(session: Session, reader: int, at: datetime) -> None:
    open_ones = update(LoginRow).where(LoginRow.reader == reader, LoginRow.ended.is_(None))
    session.execute(open_ones.values(ended=stamp(at)))
