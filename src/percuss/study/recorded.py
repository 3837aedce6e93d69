"""What the trail says of acts that leave a row or a file behind: verification holds both against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from percuss.study.canonical import digest
from percuss.study.design.drawing import as_table
from percuss.study.design.public import PublicProtocol
from percuss.study.folder import StudyInfo
from percuss.study.pictures import sha_at
from percuss.study.trail import Event

if TYPE_CHECKING:
    from percuss.study.tables import AnswerRow, OverrideRow, ReaderRow, SlotRow

CREATED = "study created"
AMENDED = "amend"
CLOSED = "close study"


def created_event(info: StudyInfo, public: PublicProtocol, *, rows: Iterable[SlotRow], images: Path, who: str) -> Event:
    """The first record: hashes of all that stands before the first answer."""
    return Event(
        who=who,
        what=CREATED,
        new={
            "id": info.id,
            "title": info.title,
            "protocol": info.protocol_hash,
            "sealed": info.sealed_sha256,
            "public": public_digest(public),
            "orders": digest(as_table(rows)),
            "pictures": pictures_digest(images),
            "described": described_digest(info),
        },
    )


def amended_event(info: StudyInfo, public: PublicProtocol, *, before: str, rows: Sequence[SlotRow] = ()) -> Event:
    """The record of the last amendment in ``public``: what changed, and the hashes that hold from now on.

    Args:
        info: ``study.json`` with the key sealed anew.
        public: with the amendment.
        before: hash that stood for the protocol until now.
        rows: orders that it adds.
    """
    last = public.amendments[-1]
    added: dict[str, JsonValue] = {"orders": added_orders(rows)} if rows else {}
    return Event(
        who=last.who,
        what=AMENDED,
        old={"protocol": before},
        new={
            "number": last.number,
            "changes": dict(last.changes),
            "protocol": last.hash,
            "title": info.title,
            "sealed": info.sealed_sha256,
            "public": public_digest(public),
            **added,
        },
        reason=last.reason,
    )


def added_orders(rows: Sequence[SlotRow]) -> dict[str, JsonValue]:
    """What the trail says of orders that an amendment adds: the number of the first, how many, their hash."""
    slots = {row.slot for row in rows}
    return {"first": min(slots), "count": len(slots), "hash": digest(as_table(rows))}


def answer_event(name: str, row: AnswerRow, before: AnswerRow | None) -> Event:
    """The record of an answer that is saved.

    Args:
        name: of the reader.
        row: the answer as it goes into the database; ``record`` and ``saved`` may be unset yet.
        before: the answer that it corrects; None for a first answer.
    """
    act = "answer" if before is None else "correct"
    new: dict[str, JsonValue] = {"id": row.id, "version": row.version, "answer": row.answer, "shown": row.shown}
    return Event(
        who=name,
        what=f"{act} {row.number}",
        old=None if before is None else {"id": before.id, "version": before.version, "answer": before.answer},
        new=new,
        reason=row.reason,
    )


def override_event(name: str, row: OverrideRow) -> Event:
    """The record of a session of reader ``name`` that was opened early."""
    return Event(who=row.who, what=f"wash-out overridden {name} session {row.session}", reason=row.reason)


def enrolment(row: ReaderRow) -> dict[str, JsonValue]:
    """What the record of an enrolment says: the order that a reader got, and by what they get in."""
    return {"reader": row.id, "slot": row.slot, "access": access_digest(row)}


def access_digest(row: ReaderRow) -> str:
    """SHA-256 of the hashes of somebody's code and link: it tells neither, and changes with either."""
    return digest([row.code_hash, row.link_hash])


def described_digest(info: StudyInfo) -> str:
    """SHA-256 of what ``study.json`` says for good: all but what an amendment or a move of the database changes."""
    return digest(info.model_dump(mode="json", exclude={"title", "sealed_sha256", "database"}))


def public_digest(public: PublicProtocol) -> str:
    """SHA-256 of ``protocol.json``, whatever its layout."""
    return digest(public.model_dump(mode="json"))


def pictures_digest(images: Path) -> str:
    """SHA-256 of the table of every picture's name and hash; RunError where one cannot be read."""
    names = sorted(path.name for path in images.iterdir()) if images.is_dir() else []
    return digest({name: sha_at(images / name) for name in names})
