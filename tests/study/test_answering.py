"""Answers: saved once, in their turn, with their record, or refused for a reason."""

import json
import uuid

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError
from tests.study.reading import DAYS, START, at, at_once, enrolled, read, sent, two_sessions
from tests.study.small_study import make

from percuss.study.access import enrol, log_in, revoke
from percuss.study.answering import Refused, given, save_answer
from percuss.study.answers import Sent
from percuss.study.standing import place, standing
from percuss.study.tables import AnswerRow, TrailRow

#: A test that also runs on PostgreSQL: what its types, locks and transactions could change.
both = pytest.mark.parametrize("study", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def study(request, tmp_path):
    kind = getattr(request, "param", "sqlite")
    database = request.getfixturevalue("postgresql_url") if kind == "postgresql" else None
    made = two_sessions(tmp_path, database=database)
    yield made
    made.database.close()


@pytest.fixture
def ada(study):
    return enrolled(study)


def answers(study):
    with study.database.read() as session:
        return session.scalars(select(AnswerRow).order_by(AnswerRow.record)).all()


def trail(study):
    with study.database.read() as session:
        return [json.loads(line) for line in session.scalars(select(TrailRow.line).order_by(TrailRow.number))]


def refused(study, reader, answer, **when):
    """Status and code with which an answer is refused; nothing is written."""
    before = trail(study), len(answers(study))
    with pytest.raises(Refused) as raised:
        save_answer(study, reader, answer, **when)
    assert (trail(study), len(answers(study))) == before
    assert raised.value.next_step
    return raised.value.status, raised.value.code


@both
def test_an_answer_and_its_record_are_saved_together(study, ada):
    answer = sent(study, ada, 1, comment="blurred", shown={"reaction_ms": 812.5, "sha256": ["a" * 64]})
    saved = save_answer(study, ada, answer, now=at(hours=1))
    assert (saved.number, saved.version, saved.again) == (1, 1, False)
    assert saved.saved == at(hours=1).isoformat(timespec="microseconds")
    (row,) = answers(study)
    assert row.answer == {"task": "diagnosis", "label": "tumour", "confidence": 4, "comment": "blurred", "seen": None}
    assert (row.id, row.reader, row.saved, row.reason) == (str(answer.id), ada, saved.saved, "")
    assert row.shown["reaction_ms"] == 812.5 and row.shown["sha256"] == ["a" * 64]
    begin, record = trail(study)[-2:]
    assert (begin["who"], begin["what"]) == ("Ada", "session 1 begins")
    assert (record["number"], record["who"], record["what"]) == (row.record, "Ada", "answer 1")
    assert record["time"] == row.saved and record["old"] is None
    assert record["new"] == {"id": row.id, "version": 1, "answer": row.answer, "shown": row.shown}


def test_the_trail_tells_no_trial_no_case_no_arm(study, ada):
    read(study, ada, 1, 6)
    told = json.dumps(trail(study)[1:])
    assert not any(word in told for word in ("case-", "adversarial", "original", "linf", place(study, ada, 1).token))
    with study.database.read() as session:
        lines = session.scalars(select(TrailRow.line)).all()
    assert not any(name in "".join(lines[1:]) for name in trials_of(study))


def trials_of(study):
    """Opaque ids of all trials."""
    from percuss.study.tables import PlaceRow

    with study.database.read() as session:
        return session.scalars(select(PlaceRow.trial)).all()


def test_each_session_begins_once_in_the_trail(study, ada):
    read(study, ada, 1, 6)
    read(study, ada, 7, 8, now=at(days=DAYS))
    assert [r["what"] for r in trail(study) if "begins" in r["what"]] == ["session 1 begins", "session 2 begins"]


@both
def test_the_same_answer_sent_again_is_acknowledged_and_counted_once(study, ada):
    answer = sent(study, ada, 1)
    first = save_answer(study, ada, answer, now=START)
    read(study, ada, 2, 3)
    later = answer.model_copy(update={"shown": answer.shown.model_copy(update={"tries": 3, "offline": True})})
    for repeat in (answer, later):
        again = save_answer(study, ada, repeat, now=at(hours=2))
        assert again.again and (again.number, again.version, again.saved) == (1, 1, first.saved)
    assert len(answers(study)) == 3 and answers(study)[0].shown["tries"] == 1


def test_an_id_with_another_body_is_refused(study, ada):
    answer = sent(study, ada, 1)
    save_answer(study, ada, answer)
    for other in (
        sent(study, ada, 1, id=str(answer.id), label="normal"),
        sent(study, ada, 1, id=str(answer.id), reason="a slip"),
        sent(study, ada, 2, id=str(answer.id)),
    ):
        assert refused(study, ada, other) == (409, "id-used")


def test_an_id_of_another_readers_answer_is_refused(study, ada):
    grace = enrolled(study, "Grace")
    answer = sent(study, ada, 1)
    save_answer(study, ada, answer)
    assert refused(study, grace, sent(study, grace, 1, id=str(answer.id))) == (409, "id-used")
    assert refused(study, grace, answer) == (409, "id-used")


@both
def test_tokens_of_another_reader_are_refused_as_those_of_nobody(study, ada):
    grace = enrolled(study, "Grace")
    theirs, said = sent(study, grace, 1), []
    for token in (theirs.trial, "0" * 32, "-", "\x00", place(study, ada, 1).images[0].token):
        assert refused(study, ada, theirs.model_copy(update={"trial": token})) == (404, "unknown-trial")
        with pytest.raises(Refused) as raised:
            save_answer(study, ada, theirs.model_copy(update={"trial": token}))
        said.append(str(raised.value))
    assert len(set(said)) == 1


def test_only_the_next_place_is_answered(study, ada):
    assert refused(study, ada, sent(study, ada, 2)) == (409, "not-next")
    read(study, ada, 1, 2)
    for number in (4, 5, 12):
        assert refused(study, ada, sent(study, ada, number)) == (409, "not-next")
    assert refused(study, ada, sent(study, ada, 1)) == (409, "answered")


@both
def test_a_session_that_is_not_open_takes_no_answer(study, ada):
    read(study, ada, 1, 6)
    assert refused(study, ada, sent(study, ada, 7), now=at(days=DAYS, seconds=-1)) == (409, "session-not-open")
    assert save_answer(study, ada, sent(study, ada, 7), now=at(days=DAYS)).number == 7


@both
def test_a_correction_keeps_what_it_corrects(study, ada):
    read(study, ada, 1, 3)
    one = save_answer(study, ada, sent(study, ada, 2, label="normal", reason="wrong key"), now=at(hours=1))
    two = save_answer(study, ada, sent(study, ada, 2, confidence=1, reason="less sure"), now=at(hours=2))
    assert [(s.number, s.version, s.again) for s in (one, two)] == [(2, 2, False), (2, 3, False)]
    versions = [row for row in answers(study) if row.number == 2]
    assert [row.answer["label"] for row in versions] == ["tumour", "normal", "tumour"]
    record = trail(study)[-1]
    assert (record["what"], record["reason"]) == ("correct 2", "less sure")
    assert record["old"] == {"id": versions[1].id, "version": 2, "answer": versions[1].answer}
    assert record["new"]["version"] == 3 and record["new"]["answer"] == versions[2].answer
    counts = given(study, ada, 2)
    assert (counts.version, counts.answer["confidence"], counts.reason) == (3, 1, "less sure")
    assert given(study, ada, 4) is None and standing(study, ada, now=START).next_number == 4


def test_a_correction_needs_a_reason_and_something_to_correct(study, ada):
    assert refused(study, ada, sent(study, ada, 1, reason="a slip")) == (409, "not-answered")
    save_answer(study, ada, sent(study, ada, 1))
    assert refused(study, ada, sent(study, ada, 1, reason=" \n")) == (409, "answered")


def test_a_correction_sent_again_counts_once(study, ada):
    read(study, ada, 1, 1)
    correction = sent(study, ada, 1, label="normal", reason="a slip")
    assert not save_answer(study, ada, correction).again and save_answer(study, ada, correction).again
    assert [row.version for row in answers(study)] == [1, 2]


@both
def test_what_is_no_answer_to_the_task_is_refused(study, ada):
    other = sent(study, ada, 1, label="tumor")
    assert refused(study, ada, other) == (422, "not-an-answer")
    rating = other.model_dump(mode="json") | {"answer": {"task": "manipulation", "rating": 3}}
    assert refused(study, ada, Sent.model_validate(rating)) == (422, "not-an-answer")
    read(study, ada, 1, 1)
    for field in ({"reason": "a\x00b"}, {"reason": "a", "comment": "\x00"}):
        assert refused(study, ada, sent(study, ada, 1, **field)) == (422, "not-an-answer")


@both
def test_free_text_is_stored_as_it_is(study, ada):
    text = "<img src=x>'; DROP TABLE answers; -- \u202e\u0301\U0001f9a0\n\ttail\x7f"
    read(study, ada, 1, 1)
    save_answer(study, ada, sent(study, ada, 1, comment=text, reason=text))
    row = answers(study)[-1]
    assert row.answer["comment"] == row.reason == trail(study)[-1]["reason"] == text


def test_only_readers_who_take_part_answer(study, ada):
    chief = log_in(study, enrol(study, "Chief", role="administrator").code).reader.id
    answer = sent(study, ada, 1)
    for nobody in (chief, 99):
        assert refused(study, nobody, answer) == (403, "not-a-reader")
    save_answer(study, ada, answer)
    revoke(study, "Ada", who="Chief", reason="left")
    for theirs in (answer, sent(study, ada, 2)):
        assert refused(study, ada, theirs) == (403, "not-a-reader")


@both
@pytest.mark.parametrize("ids", ["same", "different"])
def test_two_answers_at_the_same_instant_are_one(study, ada, ids):
    number = 0
    for number in range(1, 6):
        one = sent(study, ada, number)
        other = one if ids == "same" else one.model_copy(update={"id": uuid.uuid4()})
        told = at_once([lambda a=answer: save_answer(study, ada, a, now=START) for answer in (one, other, one, other)])
        saved = [result for result in told if not isinstance(result, Refused)]
        assert [result.again for result in saved].count(False) == 1
        if ids == "same":
            assert len(saved) == 4
        else:
            assert [result.code for result in told if isinstance(result, Refused)] == ["answered"] * 2
    assert [(row.number, row.version) for row in answers(study)] == [(n, 1) for n in range(1, number + 1)]


@both
def test_readers_at_once_disturb_each_other_in_nothing(study):
    readers = [enrolled(study, name) for name in ("Ada", "Grace", "Emmy")]
    told = at_once([lambda r=reader: read(study, r, 1, 6) for reader in readers])
    assert [[saved.number for saved in theirs] for theirs in told] == [[1, 2, 3, 4, 5, 6]] * 3
    numbers = [record["number"] for record in trail(study)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(answers(study)) == 18


@both
def test_an_answer_whose_record_cannot_be_written_is_not_there(study, ada, monkeypatch):
    def broken(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr("percuss.study.answering.record", broken)
    with pytest.raises(OSError, match="no space"):
        save_answer(study, ada, sent(study, ada, 1))
    monkeypatch.undo()
    assert answers(study) == [] and standing(study, ada).done == 0


@both
def test_a_record_whose_answer_cannot_be_written_is_not_there(study, ada):
    before = trail(study)
    answer = sent(study, ada, 1)
    with pytest.raises(DatabaseError), study.database.write() as session:
        from percuss.study.answering import _row, _write  # the last step alone, on a place that is not there

        row = _row(answer, session.get_one(_places(), (ada, 1)), None)
        row.number = 99
        _write(session, row, None, name="Ada", at=START)
    assert trail(study) == before and answers(study) == []


def _places():
    from percuss.study.tables import PlaceRow

    return PlaceRow


@pytest.mark.parametrize("task", ["choice", "same", "manipulation"])
def test_every_task_has_its_answer(tmp_path, task):
    made, _ = make(tmp_path / "study", tasks=(task,))
    reader = enrolled(made)
    assert save_answer(made, reader, sent(made, reader, 1)).number == 1
    made.database.close()
