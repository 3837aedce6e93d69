"""Where a reader stands: what is done, what comes next, and which images may be looked at now."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from percuss.study.clock import days_after, moment, stamp
from percuss.study.reasons import is_open
from percuss.study.tables import AnswerRow, OverrideRow, PlaceRow

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy

#: How many places behind the next one a browser may fetch ahead.
AHEAD = 2
#: During a wash-out the last answer's image can be looked at again for so long: later it would refresh the memory.
LOOK_BACK = timedelta(hours=1)


@dataclass(frozen=True)
class Standing:
    """How far a reader is. Places, trials and sessions are counted from 1.

    Attributes:
        phase: ``reading``; ``washout``, the next session is not open yet; ``finished``; ``closed``, the whole study.
        done, total: trials answered, and all. An administrator has none.
        session, sessions: the session of the next trial, of the last one where nothing is left; and how many there are.
        session_done, session_total: trials of that session answered, and all of them.
        next_number: the place to answer next, while reading.
        opens: end of a wash-out, ISO 8601 with zone.
        last_number: the last place answered, as long as its images may be looked at again to correct it.
    """

    phase: Literal["reading", "washout", "finished", "closed"]
    done: int
    total: int
    session: int
    sessions: int
    session_done: int
    session_total: int
    next_number: int | None
    opens: str | None
    last_number: int | None


@dataclass(frozen=True)
class PlaceImage:
    """One image of a trial: the token under which this reader gets it, and the file's name on the server."""

    token: str
    file: str


@dataclass(frozen=True)
class Place:
    """A trial in a reader's order, with its one or two images (left first); nothing of it tells the arm."""

    number: int
    token: str
    session: int
    task: str
    images: tuple[PlaceImage, ...]


@dataclass(frozen=True)
class Shown:
    """What a reader may look at now: the last trial answered, the next, and up to two more of its session and task."""

    last: Place | None
    next: Place | None
    ahead: tuple[Place, ...]

    def places(self) -> tuple[Place, ...]:
        """All of them."""
        return tuple(place for place in (self.last, self.next, *self.ahead) if place is not None)


def standing(study: OpenStudy, reader_id: int, *, now: datetime | None = None) -> Standing:
    """Where a reader stands at the server's time ``now`` (None asks the clock)."""
    with study.database.read() as session:
        return standing_in(session, reader_id, washout_days=study.public.washout_days, now=moment(now))


def standing_in(session: Session, reader_id: int, *, washout_days: float, now: datetime) -> Standing:
    """As ``standing``, within a transaction that is under way."""
    counted = select(PlaceRow.session, func.count()).where(PlaceRow.reader == reader_id).group_by(PlaceRow.session)
    sizes: dict[int, int] = {row[0]: row[1] for row in session.execute(counted)}
    first_answers = select(func.count()).where(AnswerRow.reader == reader_id, AnswerRow.version == 1)
    # Places are answered one after the other, so their number says how far it is.
    done = session.scalars(first_answers).one()
    following = session.get(PlaceRow, (reader_id, done + 1))
    last = session.get(PlaceRow, (reader_id, done))
    nearest = following or last
    current = nearest.session if nearest is not None else 0
    before = sum(size for number, size in sizes.items() if number < current)
    opens = _opens(session, last, following, washout_days)
    phase = _phase(session, following, waits=opens is not None and now < opens)
    return Standing(
        phase=phase,
        done=done,
        total=sum(sizes.values()),
        session=current,
        sessions=len(sizes),
        session_done=done - before,
        session_total=sizes.get(current, 0),
        next_number=done + 1 if phase == "reading" else None,
        opens=stamp(opens) if opens is not None and phase == "washout" else None,
        last_number=done if _may_look_back(session, last, following, phase=phase, now=now) else None,
    )


def place(study: OpenStudy, reader_id: int, number: int) -> Place | None:
    """A reader's place by its number from 1, whether they may see it now or not; None where there is none."""
    with study.database.read() as session:
        return _place(session.get(PlaceRow, (reader_id, number)))


def place_of_token(study: OpenStudy, reader_id: int, token: str) -> Place | None:
    """A reader's place by the token of its trial; None for a token that is another's, as for one that is nobody's."""
    with study.database.read() as session:
        return _place(row_of_token(session, reader_id, token))


def row_of_token(session: Session, reader_id: int, token: str) -> PlaceRow | None:
    """As ``place_of_token``, within a transaction that is under way."""
    if not (token.isascii() and token.isalnum()):  # no database is asked for what it could not even hold
        return None
    found = select(PlaceRow).where(PlaceRow.reader == reader_id, PlaceRow.token == token)
    return session.scalars(found).one_or_none()


def shown_places(study: OpenStudy, reader_id: int, *, now: datetime | None = None) -> Shown:
    """What a reader may look at at the server's time ``now``; nothing of a session that is not open."""
    with study.database.read() as session:
        stands = standing_in(session, reader_id, washout_days=study.public.washout_days, now=moment(now))
        last = session.get(PlaceRow, (reader_id, stands.last_number or 0))
        following = session.get(PlaceRow, (reader_id, stands.next_number or 0))
        if following is None:
            return Shown(last=_place(last), next=None, ahead=())
        behind = (session.get(PlaceRow, (reader_id, following.number + step)) for step in range(1, AHEAD + 1))
        # Another task is not told of before its turn: it may say what the one before must not know.
        asked = (following.session, following.task)
        same = (_place(row) for row in behind if row is not None and (row.session, row.task) == asked)
        return Shown(
            last=_place(last), next=_place(following), ahead=tuple(found for found in same if found is not None)
        )


def image_of(study: OpenStudy, reader_id: int, image_token: str, *, now: datetime | None = None) -> str | None:
    """The file behind an image token, if this reader may look at it now; None for every other token."""
    found = None
    # All are compared, each in constant time: how long it takes tells nothing about a token.
    for shown in shown_places(study, reader_id, now=now).places():
        for image in shown.images:
            if secrets.compare_digest(image.token.encode(), image_token.encode(errors="replace")):
                found = image.file
    return found


def _opens(session: Session, last: PlaceRow | None, following: PlaceRow | None, washout_days: float) -> datetime | None:
    """When the session of the following place opens; None where it is under way, the first, or opened by somebody."""
    if last is None or following is None or last.session == following.session:
        return None
    if session.get(OverrideRow, (following.reader, following.session)) is not None:
        return None
    return days_after(_saved(session, last), washout_days)


def _phase(
    session: Session, following: PlaceRow | None, *, waits: bool
) -> Literal["reading", "washout", "finished", "closed"]:
    if not is_open(session):
        return "closed"
    if following is None:
        return "finished"
    return "washout" if waits else "reading"


def _may_look_back(
    session: Session, last: PlaceRow | None, following: PlaceRow | None, *, phase: str, now: datetime
) -> bool:
    if last is None or phase == "closed":
        return False
    if following is None or last.session == following.session:
        return True
    return phase == "washout" and now < datetime.fromisoformat(_saved(session, last)) + LOOK_BACK


def _saved(session: Session, row: PlaceRow) -> str:
    """When a place was first answered: what a correction changes later moves no wash-out."""
    first = (AnswerRow.reader == row.reader, AnswerRow.number == row.number, AnswerRow.version == 1)
    return session.scalars(select(AnswerRow.saved).where(*first)).one()


def _place(row: PlaceRow | None) -> Place | None:
    if row is None:
        return None
    images = [PlaceImage(token=row.left_token, file=row.left_file)]
    if row.right_token is not None:
        images.append(PlaceImage(token=row.right_token, file=row.right_file))
    return Place(number=row.number, token=row.token, session=row.session, task=row.task, images=tuple(images))
