"""A wash-out overridden by somebody, with a reason, and never in silence."""

import json

import pytest
from sqlalchemy import select
from tests.study.reading import DAYS, START, at, enrolled, read, two_sessions
from tests.study.small_study import ARMS, make

from percuss.core.errors import UsageError
from percuss.study.access import enrol
from percuss.study.closing import close
from percuss.study.design.order import OrderRules
from percuss.study.overriding import override_washout
from percuss.study.standing import standing
from percuss.study.tables import OverrideRow, TrailRow

WHY = {"who": "Chief", "reason": "leaves on Friday"}


@pytest.fixture
def study(tmp_path):
    made = two_sessions(tmp_path)
    yield made
    made.database.close()


def test_it_is_recorded_with_who_and_why(study):
    ada = enrolled(study)
    read(study, ada, 1, 6)
    override_washout(study, "Ada", 2, **WHY, now=at(days=1))
    with study.database.read() as session:
        row = session.scalars(select(OverrideRow)).one()
        line = json.loads(session.get(TrailRow, row.record).line)
    assert (row.reader, row.session, row.who, row.reason) == (ada, 2, "Chief", "leaves on Friday")
    assert row.time == line["time"] == at(days=1).isoformat(timespec="microseconds")
    assert (line["who"], line["what"], line["reason"]) == ("Chief", "wash-out overridden Ada session 2", row.reason)


def test_it_may_be_decided_before_the_session_before_is_finished(study):
    ada = enrolled(study)
    override_washout(study, "Ada", 2, **WHY, now=START)
    assert standing(study, ada, now=START).session == 1
    with pytest.raises(UsageError, match="session 2 of Ada has no wash-out left"):
        override_washout(study, "Ada", 2, **WHY, now=START)
    read(study, ada, 1, 6)
    assert standing(study, ada, now=START).next_number == 7


@pytest.mark.parametrize("session", [-1, 0, 1, 3])
def test_only_a_session_that_waits_can_be_opened(study, session):
    enrolled(study)
    with pytest.raises(UsageError, match=rf"Ada has no such session .*: {session}. Allowed: 2 to 2"):
        override_washout(study, "Ada", session, **WHY)


def test_a_session_that_is_open_needs_none(study):
    ada = enrolled(study)
    read(study, ada, 1, 6)
    with pytest.raises(UsageError, match="session 2 of Ada has no wash-out left"):
        override_washout(study, "Ada", 2, **WHY, now=at(days=DAYS))
    override_washout(study, "Ada", 2, **WHY, now=at(days=1))
    for _ in range(2):
        with pytest.raises(UsageError, match="session 2 of Ada has no wash-out left"):
            override_washout(study, "Ada", 2, **WHY, now=at(days=1))


def test_a_session_that_is_over_needs_none(tmp_path):
    rules = OrderRules(distance=2, sessions=4, together=2)
    study, _ = make(tmp_path / "four", cases=3, arms=ARMS[:2], copies=2, rules=rules, washout_days=1)
    ada = enrolled(study)
    for session in range(3):
        read(study, ada, 3 * session + 1, 3 * session + 3, now=at(days=session))
    assert standing(study, ada, now=at(days=2)).session == 4
    with pytest.raises(UsageError, match="session 2 of Ada has no wash-out left"):
        override_washout(study, "Ada", 2, **WHY, now=at(days=2))
    override_washout(study, "Ada", 4, **WHY, now=at(days=2))
    study.database.close()


def test_it_needs_a_reader_a_person_and_a_reason(study):
    enrolled(study), enrol(study, "Chief", role="administrator")
    for lacking, said in (({"who": "", "reason": "x"}, "somebody"), ({"who": "G", "reason": "\t"}, "a reason")):
        with pytest.raises(UsageError, match=f"needs {said}"):
            override_washout(study, "Ada", 2, **lacking)
    with pytest.raises(UsageError, match="nobody of this name"):
        override_washout(study, "Bob", 2, **WHY)
    with pytest.raises(UsageError, match=r"Chief has no such session.*Allowed: none"):
        override_washout(study, "Chief", 2, **WHY)
    close(study, **WHY)
    with pytest.raises(UsageError, match="closed and takes no answer any more: no session opened early"):
        override_washout(study, "Ada", 2, **WHY)
