"""Readers of a small study, for the tests: enrolled, logged in, and answering as a browser would."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta

from tests.study.small_study import ARMS, make

from percuss.core.errors import PercussError
from percuss.study.access import enrol, log_in
from percuss.study.answering import save_answer
from percuss.study.answers import Sent
from percuss.study.design.order import OrderRules
from percuss.study.standing import place

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAYS = 14
#: Three cases, as they are and attacked, each twice: two sessions of six trials.
TWO_SESSIONS = OrderRules(distance=2, sessions=2, together=2)


def two_sessions(folder, *, washout=DAYS, **settings):
    """A study of two sessions of six trials with a wash-out between."""
    study, _ = make(
        folder / "study", cases=3, arms=ARMS[:2], copies=2, rules=TWO_SESSIONS, washout_days=washout, **settings
    )
    return study


def enrolled(study, name="Ada", *, now=START):
    """A reader of this name: the id in the database."""
    credentials = enrol(study, name, now=now)
    return log_in(study, credentials.code, now=now).reader.id


def at(**passed):
    """So long after ``START``."""
    return START + timedelta(**passed)


def sent(study, reader, number, *, label="tumour", confidence=4, id=None, **fields):
    """An answer to the reader's place of this number, whatever its task."""
    shown = place(study, reader, number)
    answers = {
        "diagnosis": {"label": label, "confidence": confidence},
        "manipulation": {"rating": confidence},
        "choice": {"side": "left"},
        "same": {"same": label == "tumour"},
    }
    answer = {"task": shown.task, **answers[shown.task], "comment": fields.pop("comment", "")}
    return Sent.model_validate({"id": id or str(uuid.uuid4()), "trial": shown.token, "answer": answer, **fields})


def read(study, reader, first, last, *, now=START):
    """Answer the places from the first to the last; what was acknowledged."""
    return [save_answer(study, reader, sent(study, reader, number), now=now) for number in range(first, last + 1)]


def at_once(calls):
    """What calls give that begin at the same instant, each in its thread; Percuss's errors in place of results."""
    results, gate = [None] * len(calls), threading.Barrier(len(calls))

    def run(place):
        gate.wait()
        try:
            results[place] = calls[place]()
        except PercussError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
