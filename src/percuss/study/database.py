"""The database of a study: SQLite in its folder or PostgreSQL by URL, one transaction at a time for writers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLError
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.orm import Session

from percuss.core.errors import RunError, UsageError
from percuss.study.postgresql import PASSWORD, connecting
from percuss.study.tables import StudyRow

#: Where the whole URL may stand, so that it stands in no command and no file.
WHOLE_URL = "PERCUSS_STUDY_DATABASE"
#: Seconds that a writer of another process is waited for.
WAIT = 30
#: No connection, wrong password, no such database, out of space or connections, shut down, broken.
_GONE = {"08", "28", "3D", "53", "57", "58", "XX"}
#: Errors of the connection that the driver hands on as they are.
_LINE = (ConnectionError, TimeoutError, SSLError, DisconnectionError)
_WRITES = "percuss_writes"
_FORMS = "sqlite:///FILE, or postgresql+pg8000://USER@HOST/NAME"


class DatabaseGone(RunError):
    """The database cannot be used now; nothing was committed, or it cannot be told whether: the same again is safe."""


@dataclass(frozen=True)
class Database:
    """An open database; threads may share it.

    Attributes:
        engine: SQLAlchemy's.
        url: as stored in ``study.json``: without its password.
    """

    engine: Engine
    url: str
    # Re-entrant: a writer within a writer, a mistake, ends with an error after WAIT seconds and does not hang a server.
    _turn: contextlib.AbstractContextManager[object] = field(default_factory=threading.RLock, repr=False)

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, committed at the end, undone by any error; writers take turns, over processes too.

        RunError where the database is gone, full, or held by another writer for longer than ``WAIT`` seconds.
        """
        # SQLite lets waiting writers try again by chance; threads of one server wait in line instead.
        with self._turn, self._told(), Session(self._writer(), expire_on_commit=False) as session, session.begin():
            # The turn is taken now, not at the first question: files that change with the database wait for it too.
            if self.engine.dialect.name == "sqlite":
                session.connection()
            else:
                session.execute(select(StudyRow.id).with_for_update())
            yield session

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view; nothing is committed. RunError where the database is gone."""
        with self._told(), Session(self._reader(), expire_on_commit=False) as session:
            yield session

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """A bare connection in one writing transaction, for migrations."""
        with self._turn, self._told(), self._writer().begin() as connection:
            yield connection

    def close(self) -> None:
        """End every connection."""
        self.engine.dispose()

    def _writer(self) -> Engine:
        return self.engine.execution_options(**{_WRITES: True})

    def _reader(self) -> Engine:
        if self.engine.dialect.name == "sqlite":
            return self.engine
        return self.engine.execution_options(isolation_level="REPEATABLE READ")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if not _is_gone(error):
                raise
            raise _unreachable(self.url, error) from error
        except (*_LINE, self.engine.dialect.loaded_dbapi.Error) as error:
            # The socket's or driver's own error: SQLAlchemy did not notice, and keeps its other dead connections.
            self.engine.dispose()
            raise _unreachable(self.url, error) from error


def open_database(url: str) -> Database:
    """Connect to a database; nothing is created in it but, with SQLite, the empty file.

    A password that the URL lacks comes from the environment (``PERCUSS_STUDY_DATABASE_PASSWORD``).

    Raises:
        UsageError: no URL of a database that Percuss knows, or its driver is not installed.
        RunError: it cannot be reached.
    """
    whole = _parsed(url)
    dialect = whole.get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise UsageError("no such kind of database", value=dialect, allowed=_FORMS, next_step="write such a URL")
    told: dict[str, Any] = {}
    if dialect == "postgresql":
        whole, told = connecting(whole)
    try:
        engine = create_engine(whole, **_settings(dialect, told))
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        step = "pip install 'percuss[study,postgresql]'"
        raise UsageError("the driver of the database is not installed", value=error, next_step=step) from error
    database = Database(engine, stored_url(url))
    if dialect == "sqlite":
        _prepare_sqlite(engine)
    try:
        with database.read() as session:
            session.connection()
    except BaseException:
        database.close()
        raise
    return database


def stored_url(url: str) -> str:
    """A URL as it may be stored and shown: without password, and with the whole path of a file.

    UsageError where the text is no URL.
    """
    whole = _parsed(url)
    database = whole.database
    if database and whole.get_backend_name() == "sqlite":
        database = str(Path(database).resolve())
    query = {name: value for name, value in whole.query.items() if "pass" not in name.lower()}
    return URL.create(
        whole.drivername,
        username=whole.username,
        host=whole.host,
        port=whole.port,
        database=database,
        query=query,
    ).render_as_string()


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def is_new_file(url: str) -> bool:
    """Whether a URL names a file of SQLite that is not there yet; UsageError where it is no URL of a database."""
    whole = _parsed(url)
    return whole.get_backend_name() == "sqlite" and not (whole.database and Path(whole.database).exists())


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None where it is one of another kind. UsageError where the text is no URL."""
    whole = _parsed(url)
    return Path(whole.database or "") if whole.get_backend_name() == "sqlite" else None


def _parsed(url: str) -> URL:
    # The text itself may hold a password: neither it nor what says so (a port that is no number) is repeated.
    try:
        whole = make_url(url)
        named = whole.get_backend_name() != "sqlite" or whole.database not in (None, "", ":memory:")
    except (ArgumentError, ValueError):
        named = False
    if not named:
        raise UsageError("this is no URL of a database", allowed=_FORMS, next_step="write such a URL")
    return whole


def _settings(dialect: str, told: dict[str, Any]) -> dict[str, Any]:
    # As many connections as a server has threads: none waits for one that waits for it.
    pool: dict[str, Any] = {"pool_size": 20, "max_overflow": 40, "pool_pre_ping": dialect == "postgresql"}
    return {**pool, "connect_args": {"timeout": WAIT, **told}}


def _prepare_sqlite(engine: Engine) -> None:
    """What SQLite is told at each connection and each beginning of a transaction."""

    @event.listens_for(engine, "connect")
    def _connect(raw: Any, _: Any) -> None:
        raw.isolation_level = None  # transactions begin where we say so, not at the first INSERT
        # FULL: a commit is on the disk before anybody is told "saved". recursive_triggers: REPLACE deletes by them too.
        for name, value in (
            ("journal_mode", "WAL"),
            ("synchronous", "FULL"),
            ("foreign_keys", "ON"),
            ("recursive_triggers", "ON"),
        ):
            raw.execute(f"PRAGMA {name}={value}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_gone(error: DBAPIError) -> bool:
    """Whether the database is at fault, not what it was asked."""
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return True
    # SQLite: no database, or a damaged one. PostgreSQL: classes of SQLSTATE (appendix A of its manual).
    told = next(iter(getattr(error.orig, "args", ())), None)
    state = str(told.get("C", "")) if isinstance(told, dict) else ""
    return type(error) is DatabaseError if not state else state[:2] in _GONE


def _unreachable(url: str, error: Exception) -> DatabaseGone:
    cause = error.orig if isinstance(error, DBAPIError) else error
    first = next(iter(getattr(cause, "args", ())), None)
    told = first.get("M", first) if isinstance(first, dict) else cause
    if isinstance(cause, Exception) and isinstance(cause.__cause__, OSError):  # why no connection came about
        told = cause.__cause__.strerror or cause.__cause__
    step = f"check that it is there, not full and not held by another program; a password stands in {PASSWORD}"
    if url.startswith("sqlite"):
        step = "check that it is there, not full, not held by another program, and in a folder that can be written"
    return DatabaseGone(f"the database {url} cannot be used", value=told, next_step=step)
