"""A small study that is served, for the tests of the app."""

from __future__ import annotations

import itertools

import pytest
from tests.study.app.served import serving
from tests.study.small_study import make

_NUMBERS = itertools.count(1)


@pytest.fixture
def served(tmp_path):
    """Four cases in three arms, diagnosed once, behind a real server."""
    study, _ = make(tmp_path / "study")
    with serving(study) as found:
        yield found


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """The same for tests that leave it as it is, but for readers of their own."""
    study, _ = make(tmp_path_factory.mktemp("shared") / "study", slots=90)
    with serving(study) as found:
        yield found


@pytest.fixture
def ada(shared):
    """A reader of the shared study, logged in, that no other test knows."""
    return shared.enrolled(f"Ada {next(_NUMBERS)}")


@pytest.fixture
def boss(shared):
    """An administrator of the shared study, logged in."""
    return shared.enrolled(f"Boss {next(_NUMBERS)}", role="administrator")
