"""The end of a study, and how far everybody was."""

import json

import pytest
from tests.study.reading import START, at, enrolled, read, sent, two_sessions

from percuss.core.errors import UsageError
from percuss.study.access import enrol, revoke
from percuss.study.answering import Refused, save_answer
from percuss.study.closing import close
from percuss.study.progress import status
from percuss.study.trail import Event, record

WHY = {"who": "Chief", "reason": "enough readers"}


@pytest.fixture
def study(tmp_path):
    made = two_sessions(tmp_path)
    yield made
    made.database.close()


def test_closing_notes_the_end_of_the_trail_and_refuses_answers(study):
    ada = enrolled(study)
    first = sent(study, ada, 1)
    saved = save_answer(study, ada, first, now=START)
    head = close(study, **WHY, now=at(days=1))
    note = json.loads(study.folder.closed_path.read_bytes())
    assert note == {**head.model_dump(), "time": at(days=1).isoformat(timespec="microseconds")}
    assert status(study).head == head and (status(study).state, status(study).closed) == ("closed", note["time"])
    for late in (sent(study, ada, 2), sent(study, ada, 1, reason="a slip")):
        with pytest.raises(Refused, match="the study is closed") as refused:
            save_answer(study, ada, late)
        assert (refused.value.status, refused.value.code) == (409, "closed")
    again = save_answer(study, ada, first)
    assert again.again and (again.number, again.version, again.saved) == (1, 1, saved.saved)
    assert status(study).head == head


def test_it_closes_once_for_a_reason(study):
    for lacking, said in (({"who": "", "reason": "x"}, "somebody"), ({"who": "G", "reason": ""}, "a reason")):
        with pytest.raises(UsageError, match=f"closing the study needs {said}"):
            close(study, **lacking)
    assert status(study).state == "open"
    close(study, **WHY)
    with pytest.raises(UsageError, match=r"closed before: 20.*Next: see what it shows: percuss study results STUDY"):
        close(study, **WHY)


def test_a_closing_that_was_killed_before_its_note_is_noted_when_asked_again(study):
    head = close(study, **WHY)
    note = study.folder.closed_path.read_bytes()
    study.folder.closed_path.unlink()
    with study.database.write() as session:
        record(session, Event(who="Ada", what="log in"))
    assert close(study, who="Grace", reason="again") == head
    assert study.folder.closed_path.read_bytes() == note


def test_the_status_tells_progress_and_no_answer(study):
    ada = enrolled(study, "Ada")
    enrolled(study, "Grace"), enrol(study, "Chief", role="administrator")
    read(study, ada, 1, 6), revoke(study, "Grace", **WHY, now=at(days=2))
    save_answer(study, ada, sent(study, ada, 6, label="normal", reason="a slip", comment="odd"), now=at(hours=1))
    told = status(study, now=at(days=3))
    one, two, chief = told.readers
    assert (one.name, one.role, one.phase, one.done, one.total, one.session, one.sessions) == (
        "Ada",
        "reader",
        "washout",
        6,
        12,
        2,
        2,
    )
    assert one.last_saved == at(hours=1).isoformat(timespec="microseconds") and one.corrections == 1
    assert one.opens.startswith("2026-03-16") and one.revoked is None
    assert (two.done, two.last_saved, two.revoked[:10]) == (0, None, "2026-03-04")
    assert (chief.role, chief.total, chief.last_saved) == ("administrator", 0, None)
    assert told.head.number > 0 and told.closed is None
    assert not any(word in repr(told) for word in ("tumour", "normal", "odd", "slip", "adversarial"))
