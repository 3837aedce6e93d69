"""The tables of a study's database. Migrations make them; a test holds both equal."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, ForeignKeyConstraint, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    """What all tables share. Times are ISO 8601 texts of the server's clock with its zone."""


class StudyRow(Table):
    """The one row of the study: locked by whoever writes, so that writers take turns."""

    __tablename__ = "study"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    study: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(8))  # open, closed
    created: Mapped[str] = mapped_column(String(40))
    closed: Mapped[str | None] = mapped_column(String(40))


class TrailRow(Table):
    """A record of the audit trail: its line as ``Record.line`` writes it, without the line feed. Only grows."""

    __tablename__ = "trail"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    line: Mapped[str] = mapped_column(Text)


class SlotRow(Table):
    """A place in an order that was drawn before any reader was known; ``trial`` is an opaque id. Only grows."""

    __tablename__ = "slots"
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 1
    session: Mapped[int]
    trial: Mapped[str] = mapped_column(String(32))
    task: Mapped[str] = mapped_column(String(16))
    left_file: Mapped[str] = mapped_column(String(64))  # name in STUDY/images; of a single image too
    right_file: Mapped[str] = mapped_column(String(64))  # empty for a single image


class ReaderRow(Table):
    """Who takes part; codes and links only as SHA-256 of what has 80 bits of chance or more."""

    __tablename__ = "readers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    role: Mapped[str] = mapped_column(String(16))  # reader, administrator
    slot: Mapped[int | None] = mapped_column(Integer, unique=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    link_hash: Mapped[str] = mapped_column(String(64), unique=True)
    enrolled: Mapped[str] = mapped_column(String(40))
    revoked: Mapped[str | None] = mapped_column(String(40))


class PlaceRow(Table):
    """A trial in a reader's order, with the random tokens under which this reader, and nobody else, gets it."""

    __tablename__ = "places"
    reader: Mapped[int] = mapped_column(ForeignKey("readers.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 1
    token: Mapped[str] = mapped_column(String(32), unique=True)
    session: Mapped[int]
    trial: Mapped[str] = mapped_column(String(32))
    task: Mapped[str] = mapped_column(String(16))
    left_token: Mapped[str] = mapped_column(String(32), unique=True)
    left_file: Mapped[str] = mapped_column(String(64))
    right_token: Mapped[str | None] = mapped_column(String(32), unique=True)
    right_file: Mapped[str] = mapped_column(String(64))


class AnswerRow(Table):
    """An answer, or a correction of one (``version`` from 1); never changed and never removed."""

    __tablename__ = "answers"
    __table_args__ = (
        UniqueConstraint("reader", "number", "version"),
        ForeignKeyConstraint(["reader", "number"], ["places.reader", "places.number"]),
    )
    id: Mapped[str] = mapped_column(String(36), primary_key=True)  # drawn by the browser
    reader: Mapped[int]
    number: Mapped[int]
    version: Mapped[int]
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    shown: Mapped[dict[str, Any]] = mapped_column(JSON)
    reason: Mapped[str] = mapped_column(Text)
    saved: Mapped[str] = mapped_column(String(40))
    record: Mapped[int] = mapped_column(ForeignKey("trail.number"), unique=True)


class LoginRow(Table):
    """A browser that is logged in, by the SHA-256 of its cookie."""

    __tablename__ = "logins"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    reader: Mapped[int] = mapped_column(ForeignKey("readers.id"))
    csrf: Mapped[str] = mapped_column(String(64))
    created: Mapped[str] = mapped_column(String(40))
    seen: Mapped[str] = mapped_column(String(40))
    ended: Mapped[str | None] = mapped_column(String(40))


class OverrideRow(Table):
    """A session opened before its wash-out was over, with who decided it and why."""

    __tablename__ = "overrides"
    reader: Mapped[int] = mapped_column(ForeignKey("readers.id"), primary_key=True)
    session: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    who: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    time: Mapped[str] = mapped_column(String(40))
    record: Mapped[int] = mapped_column(ForeignKey("trail.number"), unique=True)
