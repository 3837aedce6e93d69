"""The tables of a study."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _readings()
    _readers()
    op.create_table(
        "answers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("reader", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("shown", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("saved", sa.String(40), nullable=False),
        sa.Column("record", sa.Integer, sa.ForeignKey("trail.number"), nullable=False, unique=True),
        sa.UniqueConstraint("reader", "number", "version"),
        sa.ForeignKeyConstraint(["reader", "number"], ["places.reader", "places.number"]),
    )
    _acts()


def _acts() -> None:
    """What readers and administrators did beside answering."""
    op.create_table(
        "logins",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("reader", sa.Integer, sa.ForeignKey("readers.id"), nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("seen", sa.String(40), nullable=False),
        sa.Column("ended", sa.String(40)),
    )
    op.create_table(
        "overrides",
        sa.Column("reader", sa.Integer, sa.ForeignKey("readers.id"), primary_key=True),
        sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("time", sa.String(40), nullable=False),
        sa.Column("record", sa.Integer, sa.ForeignKey("trail.number"), nullable=False, unique=True),
    )


def _readings() -> None:
    """The study, its trail and its orders."""
    op.create_table(
        "study",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("study", sa.String(16), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("closed", sa.String(40)),
    )
    op.create_table(
        "trail",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("line", sa.Text, nullable=False),
    )
    op.create_table(
        "slots",
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *_trial(),
    )


def _readers() -> None:
    """Who takes part, and the orders of each."""
    op.create_table(
        "readers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("slot", sa.Integer, unique=True),
        sa.Column("code_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("link_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("enrolled", sa.String(40), nullable=False),
        sa.Column("revoked", sa.String(40)),
    )
    op.create_table(
        "places",
        sa.Column("reader", sa.Integer, sa.ForeignKey("readers.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", sa.String(32), nullable=False, unique=True),
        sa.Column("left_token", sa.String(32), nullable=False, unique=True),
        sa.Column("right_token", sa.String(32), unique=True),
        *_trial(),
    )


def _trial() -> list[sa.Column[int] | sa.Column[str]]:
    return [
        sa.Column("session", sa.Integer, nullable=False),
        sa.Column("trial", sa.String(32), nullable=False),
        sa.Column("task", sa.String(16), nullable=False),
        sa.Column("left_file", sa.String(64), nullable=False),
        sa.Column("right_file", sa.String(64), nullable=False),
    ]
