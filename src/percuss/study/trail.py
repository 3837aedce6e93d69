"""The audit trail of a study: a file that only grows, in which each record vouches for the one before.

A line is the canonical JSON of one record. Its ``hash`` is the SHA-256 of the hash before, a line feed, and the
canonical JSON of the record without its hash (a hash chain: S. Haber and W. S. Stornetta, J. Cryptology 3 (1991)
99-111). Who may write the file can also write the whole of it anew: that, and records cut off at its end, show only
against a ``Head`` which was noted elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from percuss.core.errors import RunError, UsageError
from percuss.store.safe import disk_errors
from percuss.study.canonical import canonical

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
        """The record as it stands in the file, with its line feed."""
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
    """The record of a line without its line feed; None unless it is to the byte what ``append`` writes."""
    try:
        record = Record.model_validate(json.loads(line))
        same = record.line() == line + b"\n" and record.hash == hash_of(record.before, record.model_dump())
    except (ValueError, ValidationError, UsageError, RecursionError):
        return None
    return record if same else None


def append(path: Path, event: Event, *, now: datetime | None = None) -> Record:
    """Write one record at the end of the trail; on the disk (fsync) before it returns.

    Threads and processes take turns by a lock on the file. A torn last line, which a kill left, is taken out, and a
    record of who=``server`` that holds it comes first: nothing disappears.

    Args:
        path: the trail; made if it is not there, in a folder that is.
        event: what happened.
        now: the server's time with its zone; None asks the clock.

    Raises:
        UsageError: ``now`` has no zone, or a value has no form in JSON.
        RunError: the file cannot be written, the disk is full, or its end is neither a record nor a torn one.
    """
    time = (now or datetime.now().astimezone()).isoformat(timespec="microseconds")
    if now is not None and now.utcoffset() is None:
        raise UsageError("a time without a zone", value=now, allowed="a time with its zone", next_step="give tzinfo")
    with disk_errors(path), _locked(path) as file:
        size = os.fstat(file).st_size
        last, torn = _end(file, size)
        head = _head(path, last)
        keep, records = size - len(torn), []
        if torn:
            if not could_be_torn(torn, head):
                raise _damaged(path, torn)
            records.append(_record(Event(who="server", what="torn line set aside", old=_shown(torn)), head, time))
            head = Head(number=records[-1].number, hash=records[-1].hash)
        records.append(_record(event, head, time))
        _write(file, b"".join(record.line() for record in records), keep, torn)
    return records[-1]


def could_be_torn(fragment: bytes, head: Head) -> bool:
    """Whether a last line without line feed can be the beginning of the record that was to follow this head."""
    start = f'{{"before":"{head.hash}","hash":"'.encode()
    # The keys of a record are sorted: its first 81 bytes are known, and 64 hex digits follow.
    digits, rest = fragment[len(start) : len(start) + 64], fragment[len(start) + 64 :]
    known = start.startswith(fragment[: len(start)]) and all(byte in b"0123456789abcdef" for byte in digits)
    if not known or b"\n" in fragment:
        return False
    following = b'","new":'
    if not (following.startswith(rest) or rest.startswith(following)):
        return False
    whole = read_line(fragment)
    # A fragment that closes as JSON was cut just before its line feed, or was never ours.
    return whole is not None or not _closes(fragment)


def _closes(fragment: bytes) -> bool:
    try:
        json.loads(fragment)
    except (ValueError, RecursionError):
        return False
    return True


def _record(event: Event, head: Head, time: str) -> Record:
    body = {**event.model_dump(), "number": head.number + 1, "time": time, "before": head.hash}
    return Record.model_validate({**body, "hash": hash_of(head.hash, body)})


def _shown(fragment: bytes) -> str:
    """A fragment as text; bytes that are no UTF-8 (a letter cut in two) as backslash escapes."""
    return fragment.decode(errors="backslashreplace")


def _head(path: Path, last: bytes | None) -> Head:
    if last is None:
        return Head(number=0, hash=START)
    record = read_line(last)
    if record is None:
        raise _damaged(path, last)
    return Head(number=record.number, hash=record.hash)


def _damaged(path: Path, line: bytes) -> RunError:
    return RunError(
        f"the last line of the audit trail {path} was not written by Percuss",
        value=_shown(line[:80]),
        next_step="keep the file as it is and verify the trail: it names the first record that was touched",
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    import fcntl  # not on Windows: the rest of the file can be imported there

    fresh = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if fresh:  # the name of a new file is safe only when its folder is
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        yield file
    finally:
        os.close(file)


def _end(file: int, size: int) -> tuple[bytes | None, bytes]:
    """The last whole line (without line feed; None if there is none) and what follows it, read from the end."""
    content, start = b"", size
    while start > 0 and content.count(b"\n") < 2:
        step = min(start, 1 << 16)
        start -= step
        content = os.pread(file, step, start) + content
    lines, feed, torn = content.rpartition(b"\n")
    return (lines.rpartition(b"\n")[2] if feed else None), torn


def _write(file: int, content: bytes, at: int, torn: bytes) -> None:
    """Write over the torn end, or leave the file as it was."""
    try:
        done = 0
        while done < len(content):
            done += os.pwrite(file, content[done:], at + done)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, at + len(torn))
        os.pwrite(file, torn, at)
        raise
