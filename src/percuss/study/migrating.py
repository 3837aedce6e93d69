"""The tables of a study brought to the form that this version of Percuss uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import text

from percuss.core.errors import RunError
from percuss.study.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Number of the lock that migrations of one PostgreSQL database take: the letters PRCS.
_LOCK = 0x50524353


def migrate(database: Database, *, to: str = "head") -> None:
    """Make the tables, or bring those of an older study up; all in one transaction, and at once where nothing is to do.

    Args:
        database: where; several servers may ask at once.
        to: the revision to stop at, for tests of older studies.

    Raises:
        RunError: a newer version of Percuss made the tables.
    """
    config = Config()
    config.set_main_option("script_location", "percuss.study:migrations")
    config.set_main_option("path_separator", "os")
    with database.connection() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        _check_known(connection, ScriptDirectory.from_config(config))
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def _check_known(connection: Connection, scripts: ScriptDirectory) -> None:
    for revision in MigrationContext.configure(connection).get_current_heads():
        try:
            scripts.get_revision(revision)
        except CommandError as error:
            raise RunError(
                "the database of the study was made by a newer version of Percuss",
                value=revision,
                next_step="install the version that study.json names, or a newer one",
            ) from error
