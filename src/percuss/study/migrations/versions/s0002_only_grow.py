"""Tables that only grow: the database itself refuses to change or remove what is in them."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

#: Tables with every set of columns in which no two rows agree.
GROWING: dict[str, tuple[tuple[str, ...], ...]] = {
    "trail": (("number",), ("hash",)),
    "slots": (("slot", "number"),),
    "answers": (("id",), ("reader", "number", "version"), ("record",)),
    "places": (("reader", "number"), ("token",), ("left_token",), ("right_token",)),
    "overrides": (("reader", "session"), ("record",)),
}


#: What PostgreSQL calls instead of changing a row, and what that does.
FUNCTION = "percuss_only_grows"
REFUSES = " BEGIN RAISE EXCEPTION 'the table % only grows', TG_TABLE_NAME; END "


def upgrade() -> None:
    """Put the triggers on."""
    if op.get_bind().dialect.name == "sqlite":
        for statement in sqlite_triggers().values():
            op.execute(statement)
    else:
        _postgresql()


def sqlite_triggers() -> dict[str, str]:
    """What makes each trigger in SQLite, by the trigger's name."""
    made = {}
    for table, unique in GROWING.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, 'the table {table} only grows'); END"
        for act in ("UPDATE", "DELETE"):
            name = f"{table}_no_{act.lower()}"
            made[name] = f"CREATE TRIGGER {name} BEFORE {act} ON {table} {refuse}"
        # INSERT OR REPLACE removes the row that is there, and fires no DELETE trigger unless a program asks for it.
        same = (" AND ".join(f"{column} = NEW.{column}" for column in columns) for columns in unique)
        when = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {' OR '.join(f'({one})' for one in same)})"
        made[f"{table}_no_replace"] = f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {when} {refuse}"
    return made


def _postgresql() -> None:
    op.execute(f"CREATE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $${REFUSES}$$")
    for table in GROWING:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()"
        )
