"""Migrations make what the tables say, in both kinds of database, and bring an older study up with all it holds."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from percuss.core.errors import RunError
from percuss.study.database import open_database, sqlite_url
from percuss.study.migrating import migrate
from percuss.study.tables import StudyRow, Table, TrailRow
from percuss.study.trail import Event, record


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    sqlite = request.param == "sqlite"
    opened = open_database(sqlite_url(tmp_path / "a.db") if sqlite else request.getfixturevalue("postgresql_url"))
    yield opened
    opened.close()


def differences(database):
    with database.connection() as connection:
        return compare_metadata(MigrationContext.configure(connection), Table.metadata)


def test_migrations_make_the_tables_that_the_code_uses(database):
    assert len(differences(database)) >= len(Table.metadata.tables)
    migrate(database)
    assert differences(database) == []
    migrate(database)
    assert differences(database) == []


def test_a_table_that_lacks_a_column_would_be_seen(database):
    migrate(database)
    with database.connection() as connection:
        connection.execute(text("ALTER TABLE logins DROP COLUMN csrf"))
    assert "csrf" in str(differences(database))


def test_an_older_study_is_brought_up_with_all_it_holds(database):
    migrate(database, to="0001")
    with database.write() as session:
        session.add(StudyRow(id=1, study="0" * 16, state="open", created="t", closed=None))
        made = [record(session, Event(who="A", what=f"answer {n}")) for n in range(3)]
    migrate(database)
    with database.read() as session:
        lines = session.scalars(select(TrailRow.line).order_by(TrailRow.number))
        assert [line.encode() + b"\n" for line in lines] == [one.line() for one in made]
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "0002"
    with pytest.raises(DBAPIError, match="only grows"), database.write() as session:
        session.execute(text("DELETE FROM trail"))


def test_tables_of_a_newer_version_are_left_alone(database):
    migrate(database)
    with database.connection() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RunError, match=r"newer version of Percuss: 9999"):
        migrate(database)


def test_servers_that_start_at_once_migrate_once(database):
    failed = []
    url = database.engine.url.render_as_string(hide_password=False)

    def start():
        own = open_database(url)  # servers share no lock but that of the database
        try:
            migrate(own)
        except Exception as error:
            failed.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and differences(database) == []


def test_a_migration_that_fails_leaves_nothing_half_done(database, monkeypatch):
    migrate(database, to="0001")
    with database.connection() as connection:
        # The second step cannot make its triggers on a table that is not there.
        connection.execute(text("DROP TABLE overrides"))
    with pytest.raises((RunError, DBAPIError)):
        migrate(database)
    with database.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "0001"
    with database.write() as session:
        session.execute(text("DELETE FROM trail"))


def test_every_step_is_shipped_in_one_line(root):
    """A wheel holds the packages that setuptools finds; the steps follow each other without a fork."""
    from setuptools import find_packages

    assert {"percuss.study.migrations", "percuss.study.migrations.versions"} <= set(find_packages(root / "src"))
    config = Config()
    config.set_main_option("script_location", "percuss.study:migrations")
    config.set_main_option("path_separator", "os")
    steps = list(ScriptDirectory.from_config(config).walk_revisions())
    files = {path.stem for path in (root / "src/percuss/study/migrations/versions").glob("s[0-9]*.py")}
    assert len(steps) == len(files) and [step.revision for step in steps] == sorted(
        (name[1:5] for name in files), reverse=True
    )
