"""The audit trail of a study: records that are only added, each of which vouches for the one before.

A line is the canonical JSON of one record. Its ``hash`` is the SHA-256 of the hash before, a line feed, and the
canonical JSON of the record without its hash (a hash chain: S. Haber and W. S. Stornetta, J. Cryptology 3 (1991)
99-111). Who may write the database as its owner can also write the whole of the trail anew: that, and records cut off
at its end, show only against a ``Head`` which was noted elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from percuss.core.errors import RunError, UsageError
from percuss.study.canonical import canonical

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: The hash before the first record.
START = "0" * 64
_HASH = r"^[0-9a-f]{64}$"


class Event(BaseModel):
    """What is to be recorded.

    Attributes:
        who: reader, administrator, or ``server``.
        what: the act and its object, such as ``answer trial-17``.
        old, new: the value before and after, any JSON; None where there is none.
        reason: why, where somebody had to say; else empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    who: str = Field(min_length=1)
    what: str = Field(min_length=1)
    old: JsonValue = None
    new: JsonValue = None
    reason: str = ""


class Record(Event):
    """An event in the trail: its number from 1, the server's time (ISO 8601 with zone), the hash before and its own."""

    number: int = Field(ge=1)
    time: str
    before: str = Field(pattern=_HASH)
    hash: str = Field(pattern=_HASH)

    def line(self) -> bytes:
        """The record as one line of text, with its line feed."""
        return (canonical(self.model_dump()) + "\n").encode()


class Head(BaseModel):
    """The end of a trail at some time: number and hash of its last record (0 and ``START`` of an empty one)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int = Field(ge=0)
    hash: str = Field(pattern=_HASH)


def hash_of(before: str, body: dict[str, object]) -> str:
    """The hash (64 hex digits) of a record from the hash before and its fields, ``hash`` left out."""
    own = {key: value for key, value in body.items() if key != "hash"}
    return hashlib.sha256(f"{before}\n{canonical(own)}".encode()).hexdigest()


def read_line(line: bytes) -> Record | None:
    """The record of a line without its line feed; None unless it is to the byte what ``record`` writes."""
    try:
        record = Record.model_validate(json.loads(line))
        same = record.line() == line + b"\n" and record.hash == hash_of(record.before, record.model_dump())
    except (ValueError, ValidationError, UsageError, RecursionError):
        return None
    return record if same else None


def record(session: Session, event: Event, *, now: datetime | None = None) -> Record:
    """Add one record in the caller's transaction: it is there if all that the caller writes with it is.

    Writers must take turns (``Database.write``).

    Args:
        session: a writing session.
        event: what happened.
        now: the server's time with its zone; None asks the clock.

    Raises:
        UsageError: ``now`` has no zone, or a value has no form in JSON.
        RunError: the last record was not written by Percuss.
    """
    from percuss.study.tables import TrailRow

    if now is not None and now.utcoffset() is None:
        raise UsageError("a time without a zone", value=now, allowed="a time with its zone", next_step="give tzinfo")
    time = (now or datetime.now().astimezone()).isoformat(timespec="microseconds")
    last = head(session)
    body = {**event.model_dump(), "number": last.number + 1, "time": time, "before": last.hash}
    added = Record.model_validate({**body, "hash": hash_of(last.hash, body)})
    line = added.line().decode().removesuffix("\n")
    session.add(TrailRow(number=added.number, hash=added.hash, line=line))
    session.flush()
    return added


def head(session: Session) -> Head:
    """The end of the trail; RunError where its last record was not written by Percuss."""
    from sqlalchemy import select

    from percuss.study.tables import TrailRow

    row = session.scalars(select(TrailRow).order_by(TrailRow.number.desc()).limit(1)).first()
    if row is None:
        return Head(number=0, hash=START)
    last = read_line(row.line.encode())
    if last is None or (last.number, last.hash) != (row.number, row.hash):
        raise RunError(
            "the last record of the audit trail was not written by Percuss",
            value=row.line[:80],
            next_step="keep the database as it is and run percuss study verify STUDY: it names the first fault",
        )
    return Head(number=last.number, hash=last.hash)
