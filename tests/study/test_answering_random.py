"""Whatever readers, administrators and clocks do in whatever order: what was acknowledged is there once, no more."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select
from tests.study.reading import DAYS, START, sent, two_sessions

from percuss.core.errors import UsageError
from percuss.study.access import ABSOLUTE, IDLE, enrol, log_in, log_out, login_of
from percuss.study.answering import Refused, save_answer
from percuss.study.answers import as_json
from percuss.study.closing import close
from percuss.study.opening import open_study
from percuss.study.overriding import override_washout
from percuss.study.standing import image_of, place, standing
from percuss.study.tables import AnswerRow
from percuss.study.verification.whole import verify_study

NAMES = ("Ada", "Grace")
LAST, ALL = 6, 12  # last place of the first session, and of the second
readers = st.sampled_from((0, 1))
labels = st.sampled_from(("normal", "tumour"))


class Reading:
    """What a reader should see: kept by the test, from the rules as the docs tell them."""

    def __init__(self, id, code):
        self.id, self.code = id, code
        self.login = None
        self.given = {}  # bodies of each place, in order of their versions
        self.finished = None  # when the first session was
        self.early = False

    @property
    def done(self):
        return len(self.given)


class Requests(RuleBasedStateMachine):
    """Two readers, an administrator and a clock, against a copy of one study."""

    template: Path

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.template, self.folder / "study")
        self.study = open_study(self.folder / "study")
        self.now, self.closed, self.acknowledged = START, False, []
        self.readings = []
        for name in NAMES:
            code = enrol(self.study, name, now=START).code
            reading = Reading(log_in(self.study, code, now=START).reader.id, code)
            self.readings.append(reading)

    def teardown(self):
        if hasattr(self, "study"):
            try:
                check_all(self.study, self.readings, self.acknowledged)
            finally:
                self.study.database.close()
                shutil.rmtree(self.folder)

    @rule(at=readers, ahead=st.sampled_from((0, 0, 0, 0, 1, 2)), label=labels)
    def answer_one(self, at, ahead, label):
        self.answer(at, ahead, label)

    def answer(self, at, ahead, label):
        reading = self.readings[at]
        if reading.done + 1 + ahead <= ALL:
            self.send(reading, sent(self.study, reading.id, reading.done + 1 + ahead, label=label))

    @rule(at=readers, places=st.sampled_from((3, 6)))
    def read_on(self, at, places):
        for _ in range(places):
            self.answer(at, 0, "normal")

    @rule(at=readers, data=st.data(), label=labels, reason=st.sampled_from(("a slip", "")))
    def correct(self, at, data, label, reason):
        reading = self.readings[at]
        number = data.draw(st.integers(1, min(ALL, reading.done + 1)))
        self.send(reading, sent(self.study, reading.id, number, label=label, reason=reason))

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data(), how=st.sampled_from(("same", "label", "reason", "reader")))
    def repeat(self, data, how):
        reading, body, number, version = data.draw(st.sampled_from(self.acknowledged))
        if how == "same":
            self.knock(reading)
            again = save_answer(self.study, reading.id, body, now=self.now)
            assert (again.again, again.number, again.version) == (True, number, version)
            return
        other = {"label": "normal" if body.answer.label == "tumour" else "tumour"}
        changes = {"label": {"answer": body.answer.model_copy(update=other)}, "reason": {"reason": f"{body.reason}!"}}
        if how == "reader":
            reading = next(one for one in self.readings if one is not reading)
        self.knock(reading)
        assert self.refusal(reading, body.model_copy(update=changes.get(how, {}))) == "id-used"

    @rule(at=readers, data=st.data())
    def send_the_others_trial(self, at, data):
        reading, other = self.readings[at], self.readings[1 - at]
        body = sent(self.study, other.id, data.draw(st.integers(1, ALL)))
        self.knock(reading)
        assert self.refusal(reading, body) == ("closed" if self.closed else "unknown-trial")

    @rule(at=readers)
    def leave(self, at):
        reading = self.readings[at]
        self.knock(reading)
        log_out(self.study, reading.login.token, now=self.now)
        assert login_of(self.study, reading.login.token, now=self.now) is None
        reading.login = None

    @rule(hours=st.sampled_from((1, 11, 12, 100, 24 * DAYS)))
    def wait(self, hours):
        self.now += timedelta(hours=hours)

    @rule(at=readers)
    def override(self, at):
        reading = self.readings[at]
        is_open = reading.early or reading.done > LAST or self.waited(reading)
        try:
            override_washout(self.study, NAMES[at], 2, who="Chief", reason="leaves", now=self.now)
        except UsageError:
            assert self.closed or is_open
        else:
            assert not self.closed and not is_open
            reading.early = True

    @precondition(lambda self: sum(reading.done for reading in self.readings) > 8)
    @rule()
    def close(self):
        if not self.closed:
            close(self.study, who="Chief", reason="enough", now=self.now)
        self.closed = True

    @rule(at=readers)
    def look(self, at):
        """Images of the last answered place, the next and two ahead, of a session that is open."""
        reading = self.readings[at]
        number, done = standing(self.study, reading.id, now=self.now).next_number, reading.done
        assert number == (None if self.closed or done == ALL or self.expected(reading, done + 1, "") else done + 1)
        for token_of in (
            1,
            LAST,
            LAST + 1,
            ALL,
            max(done, 1),
            min(done + 1, ALL),
            min(done + 3, ALL),
            min(done + 4, ALL),
        ):
            shown = place(self.study, reading.id, token_of)
            handed = image_of(self.study, reading.id, shown.images[0].token, now=self.now) is not None
            same = number is not None and (token_of <= LAST) == (number <= LAST)
            if number is not None and same:
                assert handed == (done <= token_of <= done + 3 and token_of >= 1)
            else:
                assert not handed or (token_of == done and not self.closed)

    def come_in(self, reading):
        reading.login = log_in(self.study, reading.code, now=self.now)
        reading.created = reading.seen = self.now

    def knock(self, reading):
        """As the app asks before each request; whose login is over comes in again."""
        if reading.login is not None:
            found = login_of(self.study, reading.login.token, now=self.now)
            assert (found is not None) == (self.now - reading.seen < IDLE and self.now - reading.created < ABSOLUTE)
            reading.login = found
            reading.seen = self.now
        if reading.login is None:
            self.come_in(reading)

    def waited(self, reading):
        return reading.finished is not None and self.now >= reading.finished + timedelta(days=DAYS)

    def expected(self, reading, number, reason):
        """The code of the refusal that the rules ask for; None where the answer counts."""
        if self.closed:
            return "closed"
        if number <= reading.done:
            return None if reason else "answered"
        if reason:
            return "not-answered"
        if number > reading.done + 1:
            return "not-next"
        waits = number == LAST + 1 and not reading.early and not self.waited(reading)
        return "session-not-open" if waits else None

    def refusal(self, reading, body):
        with pytest.raises(Refused) as raised:
            save_answer(self.study, reading.id, body, now=self.now)
        return raised.value.code

    def send(self, reading, body):
        self.knock(reading)
        numbers = (n for n in range(1, ALL + 1) if place(self.study, reading.id, n).token == body.trial)
        number = next(numbers)
        code = self.expected(reading, number, body.reason)
        if code is not None:
            assert self.refusal(reading, body) == code
            return
        saved = save_answer(self.study, reading.id, body, now=self.now)
        versions = reading.given.setdefault(number, [])
        versions.append(body)
        assert (saved.number, saved.version, saved.again) == (number, len(versions), False)
        self.acknowledged.append((reading, body, saved.number, saved.version))
        if reading.finished is None and reading.done == LAST:
            reading.finished = self.now


def check_all(study, readings, acknowledged):
    """Rows and acknowledgements are the same, each once, versions without a gap, and the study verifies."""
    with study.database.read() as session:
        rows = session.scalars(select(AnswerRow)).all()
    assert sorted(row.id for row in rows) == sorted(str(body.id) for _, body, _, _ in acknowledged)
    held = {(row.reader, row.number, row.version): row for row in rows}
    for reading in readings:
        for number, versions in reading.given.items():
            for version, body in enumerate(versions, start=1):
                row = held.pop((reading.id, number, version))
                assert (row.id, row.answer, row.reason) == (str(body.id), as_json(body.answer), body.reason)
    assert held == {}
    assert verify_study(study).sound


def test_what_was_acknowledged_is_there_once_after_any_requests(tmp_path):
    study = two_sessions(tmp_path)
    study.database.close()
    machine = type("Machine", (Requests,), {"template": study.folder.path})
    options = settings(max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=options)
