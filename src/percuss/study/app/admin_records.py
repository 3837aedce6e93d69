"""What the administrator's part of the HTTP interface takes and gives: progress, never an answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from percuss.study.app.records import LONG, SHORT


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class _Reasoned(_Record):
    reason: str = Field(min_length=1, max_length=LONG, description="why; goes into the audit trail")


class OfReader(_Reasoned):
    """A reader by name, and why."""

    name: str = Field(min_length=1, max_length=SHORT)


class OfSession(OfReader):
    """A reader's session that is to open before its wash-out is over, and why."""

    session: int = Field(ge=1, le=1000)


class Closing(_Reasoned):
    """Close the study for good, and why."""


class HeadNow(_Record):
    """The end of the audit trail: number and hash of its last record.

    Noted elsewhere, ``percuss study verify`` can tell by it whether records are gone.
    """

    number: int
    hash: str


class ReaderProgress(_Record):
    """How far one person is.

    Attributes:
        name, role: as enrolled.
        phase, done, total, session, sessions: as in their own standing; an administrator has no trials.
        opens: end of a wash-out; last_saved: of their last answer; enrolled; revoked: times (ISO 8601 with zone).
        corrections: answers given again, with a reason.
    """

    name: str
    role: Literal["reader", "administrator"]
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


class Progress(_Record):
    """How far everybody is.

    Attributes:
        title, state: of the study; closed: when, null while it is open.
        trials: of each reader.
        readers: everybody in the order of enrolment; head: the end of the audit trail.
    """

    title: str
    state: Literal["open", "closed"]
    closed: str | None
    trials: int
    readers: tuple[ReaderProgress, ...]
    head: HeadNow


class NewCredentials(_Record):
    """A new code and link (a path on this server). Shown this once: only hashes of them are kept."""

    name: str
    code: str
    link: str
