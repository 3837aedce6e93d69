"""What tests of the study's app share: a real PostgreSQL, a real Chromium, and the app in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from tests.study.live import LiveServer
from tests.study.postgresql import Cluster, binaries, start_cluster

from percuss.study.opening import OpenStudy


def absent(what: str, variable: str, packages: str) -> None:
    """Skip because something is not installed, or fail where the environment says that it must be there."""
    reason = f"{what} is not installed (on Debian: apt-get install {packages})"
    if os.environ.get(variable) == "required":
        pytest.fail(f"{reason}, and {variable} says that it is required")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server, one for each worker, that makes as many databases as are asked for."""
    if binaries() is None:
        absent("PostgreSQL's server", "PERCUSS_POSTGRESQL", "postgresql")
    cluster = start_cluster()
    yield cluster
    cluster.stop()


@pytest.fixture
def postgresql_url(postgresql_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL, password included, of a fresh database; the password is in the environment too, as users set it."""
    monkeypatch.setenv("PERCUSS_STUDY_DATABASE_PASSWORD", postgresql_cluster.password)
    return postgresql_cluster.database()


@pytest.fixture
def live_server() -> Iterator[Callable[[OpenStudy], LiveServer]]:
    """Starts the app of a study in a process of its own; it ends with the test."""
    servers: list[LiveServer] = []

    def start(study: OpenStudy) -> LiveServer:
        servers.append(LiveServer(study))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
