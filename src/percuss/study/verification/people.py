"""Readers, their codes and their logins held against the trail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.study.recorded import access_digest, enrolment
from percuss.study.tables import LoginRow, ReaderRow
from percuss.study.trail import Record

#: Acts whose record says by which code and link somebody gets in, or that they do not.
_ENROLLED, _RENEWED, _REVOKED = "enrol", "renew", "revoke"


def people_faults(session: Session, readers: Iterable[ReaderRow], records: Mapping[int, Record]) -> Iterator[str]:
    """Everybody who is not enrolled, or has not the access, that the trail says; in words.

    Args:
        session: a reading session.
        readers: everybody in the database.
        records: the trail by number.
    """
    enrolled, last = _told(records)
    known: dict[int, str] = {}
    for row in readers:
        known[row.id] = row.name
        told = enrolled.pop(f"{_ENROLLED} {row.role} {row.name}", None)
        if told is None or (told.time, told.new) != (row.enrolled, {**enrolment(row), "access": _access_in(told)}):
            yield f"{row.name}: not enrolled as the trail says"
        told = last.get(row.name, told)
        yield from _access(row, told)
    for what, record in enrolled.items():
        yield f"record {record.number} ({what}) has no row: it was removed"
    entered = {(record.who, record.time) for record in records.values() if record.what == "log in"}
    for login in session.scalars(select(LoginRow).order_by(LoginRow.created)):
        name = known.get(login.reader, "")
        if (name, login.created) not in entered:
            yield f"{name or 'nobody'}: a login that is not in the trail"


def _told(records: Mapping[int, Record]) -> tuple[dict[str, Record], dict[str, Record]]:
    """The record of every enrolment by its act, and of the last renewal or revocation by name."""
    enrolled: dict[str, Record] = {}
    last: dict[str, Record] = {}
    for _, record in sorted(records.items()):
        act, _, name = record.what.partition(" ")
        if act == _ENROLLED:
            enrolled[record.what] = record
        elif act in (_RENEWED, _REVOKED):
            last[name] = record
    return enrolled, last


def _access(row: ReaderRow, last: Record | None) -> Iterator[str]:
    """Whether somebody is shut out, since when, and by which code and link they get in."""
    shut = last is not None and last.what == f"{_REVOKED} {row.name}"
    if row.revoked != (last.time if shut and last is not None else None):
        yield f"{row.name}: access is not as the trail says"
    elif not shut and access_digest(row) != _access_in(last):
        yield f"{row.name}: code or link are not those that were given out"


def _access_in(record: Record | None) -> object:
    return record.new.get("access") if record is not None and isinstance(record.new, dict) else None
