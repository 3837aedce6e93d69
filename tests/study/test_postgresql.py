"""The PostgreSQL that other tests use is real: fresh for each test, with a password, never skipped in silence."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from tests.study import conftest
from tests.study.postgresql import free_port

from percuss.core.errors import RunError
from percuss.study.database import open_database


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_database(postgresql_url: str, turn: int) -> None:
    engine = create_engine(postgresql_url)
    with engine.begin() as connection:
        assert connection.execute(text("SHOW server_encoding")).scalar() == "UTF8"
        connection.execute(text("CREATE TABLE here (turn INTEGER)"))
    engine.dispose()


def test_a_wrong_password_is_refused(postgresql_url: str) -> None:
    password = postgresql_url.split(":")[2].partition("@")[0]
    engine = create_engine(postgresql_url.replace(password, "wrong"))
    with pytest.raises(SQLAlchemyError, match="password authentication failed"):
        engine.connect()
    engine.dispose()


def test_a_missing_password_is_no_fault_of_ours(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERCUSS_STUDY_DATABASE_PASSWORD")
    user, _, place = postgresql_url.rpartition("@")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the driver leaves the socket of a refused login open
        with pytest.raises(RunError, match=r"cannot be used.*PERCUSS_STUDY_DATABASE_PASSWORD") as caught:
            open_database(f"{user.rpartition(':')[0]}@{place}")
        del caught
        gc.collect()


@pytest.mark.parametrize("required", [False, True])
def test_absent_is_a_skip_or_where_required_a_failure(monkeypatch: pytest.MonkeyPatch, required: bool) -> None:
    monkeypatch.setenv("PERCUSS_POSTGRESQL", "required" if required else "")
    with pytest.raises(pytest.fail.Exception if required else pytest.skip.Exception, match="apt-get install postg"):
        conftest.absent("PostgreSQL's server", "PERCUSS_POSTGRESQL", "postgresql")


def test_a_free_port_is_none_that_the_system_gives_to_connections() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(given.read_text().split()[0]) if given.exists() else 49_152
    assert all(1024 < free_port() < lowest for _ in range(50))
