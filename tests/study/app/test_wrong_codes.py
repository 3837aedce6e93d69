"""Refused attempts to log in are in the audit trail, in sums."""

import json

import pytest
from sqlalchemy import select
from tests.study.reading import START, at_once
from tests.study.small_study import make

from percuss.study.app.wrong_codes import WrongCodes
from percuss.study.tables import TrailRow
from percuss.study.verification.whole import verify_study


@pytest.fixture
def study(tmp_path):
    made, _ = make(tmp_path / "study")
    yield made
    made.database.close()


def told(study):
    """How many attempts each record tells, and who wrote it."""
    with study.database.read() as session:
        records = [json.loads(line) for line in session.scalars(select(TrailRow.line).order_by(TrailRow.number))]
    return [(r["who"], r["new"]["times"]) for r in records if r["what"] == "log in refused"]


def test_the_first_is_told_at_once_and_the_next_in_sums(study):
    seconds = [0.0]
    wrong = WrongCodes(clock=lambda: seconds[0])
    for second, sums in ((0, [1]), (1, [1]), (599, [1]), (600, [1, 3]), (601, [1, 3]), (5000, [1, 3, 2])):
        seconds[0] = second
        wrong.refused(study, now=START)
        assert told(study) == [("server", times) for times in sums]
    assert verify_study(study).sound


def test_many_at_once_are_all_counted(study):
    seconds = [0.0]
    wrong = WrongCodes(clock=lambda: seconds[0])
    at_once([lambda: wrong.refused(study)] * 8)
    seconds[0] = 600.0
    wrong.refused(study)
    assert told(study) == [("server", 1), ("server", 8)]
