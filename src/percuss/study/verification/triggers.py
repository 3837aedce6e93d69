"""The triggers that keep a study's rows as they are: whether the database still has each, as it was made."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from percuss.study.migrations.versions.s0002_only_grow import FUNCTION, GROWING, REFUSES, sqlite_triggers

#: Bits of ``pg_trigger.tgtype`` (PostgreSQL, src/include/catalog/pg_trigger.h): for each row, before, on which act.
_ROW, _BEFORE, _DELETE, _UPDATE, _TRUNCATE = 1, 2, 8, 16, 32
_CHANGE, _EMPTY = _ROW | _BEFORE | _DELETE | _UPDATE, _BEFORE | _TRUNCATE
#: Enabled ``O`` or ``A`` fires for every program that has not made itself a replica; no condition, no list of columns.
_ASK = text(
    """
    SELECT t.tgname, t.tgtype, t.tgenabled IN ('O', 'A'), t.tgqual IS NULL AND t.tgattr::text = '',
        p.proname, p.prosrc, l.lanname
    FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
    WHERE c.relname IN :tables AND pg_table_is_visible(c.oid) AND NOT t.tgisinternal
    """
).bindparams(bindparam("tables", expanding=True))


def trigger_faults(session: Session) -> Iterator[str]:
    """Every trigger that is missing, or is not as Percuss made it, in words; none of it says that a row was touched."""
    if session.get_bind().dialect.name == "sqlite":
        made: dict[str, object] = dict(sqlite_triggers())
        there = _in_sqlite(session)
    else:
        made, there = _made_in_postgresql(), _in_postgresql(session)
        # A database or a user for whom this is set anew fires no trigger at all.
        if session.scalar(text("SHOW session_replication_role")) == "replica":
            yield "the database: session_replication_role is replica, which switches every trigger off"
    for name, form in made.items():
        named = f"the database: trigger {name}, which keeps rows as they are,"
        if name not in there:
            yield f"{named} is missing"
        elif there[name] != form:
            yield f"{named} was altered or switched off"


def _in_sqlite(session: Session) -> dict[str, object]:
    found = session.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    return {name: statement for name, statement in found}


def _made_in_postgresql() -> dict[str, object]:
    does = (True, True, FUNCTION, REFUSES, "plpgsql")
    acts = {"no_change": _CHANGE, "no_truncate": _EMPTY}
    return {f"{table}_{name}": (act, *does) for table in GROWING for name, act in acts.items()}


def _in_postgresql(session: Session) -> dict[str, object]:
    return {name: tuple(form) for name, *form in session.execute(_ASK, {"tables": list(GROWING)})}
