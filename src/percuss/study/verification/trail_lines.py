"""Whether an audit trail is as it was written, and which record was touched first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from percuss.core.errors import RunError, UsageError
from percuss.study.trail import START, Head, Record, read_line

Kind = Literal["changed", "removed", "inserted", "reordered", "rewritten"]


@dataclass(frozen=True)
class Fault:
    """The first record that was touched.

    Attributes:
        kind: ``rewritten`` is a chain that holds but does not lead to the head noted elsewhere.
        number: which record, counted from 1; of an inserted one the number it pushed on, of several removed the first.
        line: where this shows in the file, counted from 1.
    """

    kind: Kind
    number: int
    line: int

    def __str__(self) -> str:
        return f"record {self.number} was {self.kind} (line {self.line})"


@dataclass(frozen=True)
class Verdict:
    """What a trail is worth.

    Attributes:
        head: the last record up to which everything is as it was written.
        fault: None where nothing was touched.
    """

    head: Head
    fault: Fault | None

    @property
    def sound(self) -> bool:
        """Nothing was touched."""
        return self.fault is None


def verify(path: Path, *, head: Head | None = None) -> Verdict:
    """As ``verify_lines``, of an exported trail.

    RunError where there is no such file, or it cannot be read; UsageError where none of its lines is a record, and
    nothing was noted that it should end with.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(
            "the audit trail cannot be read", value=path, next_step="give a trail.jsonl from percuss study export"
        ) from error
    lines = content.split(b"\n")
    if head is None and not any(map(read_line, lines)):  # against a head, even an empty file is a trail cut off
        step = "give a trail.jsonl from percuss study export, or the folder of a study"
        raise UsageError("this file has no record of an audit trail", value=path, next_step=step)
    return verify_lines(lines if lines[-1] else lines[:-1], head=head)


def verify_lines(lines: Iterable[str | bytes], *, head: Head | None = None) -> Verdict:
    """Go through a trail from its beginning to the first record that was changed, removed, inserted or reordered.

    A trail written anew from some record on, or cut at its end, holds by itself: it shows only against a ``head`` that
    was noted elsewhere, before (``rewritten``, ``removed``).

    Args:
        lines: its records, oldest first, without line feeds.
        head: as noted elsewhere.
    """
    records = [read_line(line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line) for line in lines]
    reached = Head(number=0, hash=START)
    for at, record in enumerate(records):
        if record is None or record.number != reached.number + 1 or record.before != reached.hash:
            return Verdict(reached, _fault(records, at, reached))
        reached = Head(number=record.number, hash=record.hash)
    return Verdict(reached, _against(records, head))


def _against(records: Sequence[Record | None], head: Head | None) -> Fault | None:
    """The fault that shows only against a head noted elsewhere."""
    if head is None or head.number == 0:
        return None
    if len(records) < head.number:
        return Fault("removed", len(records) + 1, len(records) + 1)
    last = records[head.number - 1]
    return None if last is not None and last.hash == head.hash else Fault("rewritten", head.number, head.number)


def _fault(records: Sequence[Record | None], at: int, reached: Head) -> Fault:
    """What happened where the chain breaks; the records before hold, ``records[at]`` does not follow them."""
    record, wanted = records[at], reached.number + 1
    if record is None:
        return Fault("inserted" if _follows(records, at + 1, reached) else "changed", wanted, at + 1)
    if record.number < wanted:
        return _again(records, at, record)
    if record.number == wanted:
        # Whole in itself, but linked to another record before: that one was replaced and given a new hash.
        return Fault("changed", max(wanted - 1, 1), max(at, 1))
    if _follows(records, at + 1, reached) and not _linked(records, at):
        return Fault("inserted", wanted, at + 1)
    later = any(_follows(records, place, reached) for place in range(at + 1, len(records)))
    return Fault("reordered" if later else "removed", wanted, at + 1)


def _follows(records: Sequence[Record | None], at: int, reached: Head) -> bool:
    record = records[at] if at < len(records) else None
    return record is not None and record.number == reached.number + 1 and record.before == reached.hash


def _linked(records: Sequence[Record | None], at: int) -> bool:
    """Whether a displaced record belongs to this trail: its neighbour by number, on either side, vouches for it."""
    record = records[at]
    return record is not None and any(
        (other.number, other.hash) == (record.number - 1, record.before)
        or (other.number, other.before) == (record.number + 1, record.hash)
        for other in records
        if other is not None
    )


def _again(records: Sequence[Record | None], at: int, record: Record) -> Fault:
    """A number that stood before: a record written twice, or one forged in front of the true one."""
    first = next((place for place, other in enumerate(records[:at]) if other and other.number == record.number), None)
    known = records[first] if first is not None else None
    if first is None or known is None or known.hash == record.hash:
        return Fault("inserted", at + 1, at + 1)
    return Fault("inserted", record.number, first + 1)
