"""A small study that is served, for the tests of the app."""

from __future__ import annotations

import pytest
from tests.study.app.served import serving
from tests.study.small_study import make


@pytest.fixture
def served(tmp_path):
    """Four cases in three arms, diagnosed once, behind a real server."""
    study, _ = make(tmp_path / "study")
    with serving(study) as found:
        yield found
