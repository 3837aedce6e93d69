"""What a reader's page asks and tells: where it stands, the next trial, answers."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Depends

from percuss.study import standing as standings
from percuss.study.answering import given, save_answer
from percuss.study.answers import STEPS, Sent
from percuss.study.app.current import LenientStudy, Study
from percuss.study.app.images import shown
from percuss.study.app.login import Anybody, Reading, guarded
from percuss.study.app.problems import Refusal, problems
from percuss.study.app.records import (
    Display,
    Question,
    Saved,
    StandingNow,
    StandingWithStudy,
    TrialAnswered,
    TrialShown,
)
from percuss.study.opening import OpenStudy
from percuss.study.reasons import is_open
from percuss.study.trail import Event, record

router = APIRouter(tags=["reading"])
_WAITING = {
    "washout": "the next session is not open yet",
    "finished": "all trials are answered",
    "closed": "the study is closed",
}


@router.get("/standing", responses=problems(401))
def standing(who: Anybody, study: Study) -> StandingWithStudy:
    """How far the reader is, with the token for further POSTs; an administrator has no trials."""
    stands = _standing(study, who.reader.id)
    return StandingWithStudy(
        **stands.model_dump(),
        study=study.info.id,
        title=study.info.title,
        name=who.reader.name,
        csrf=who.csrf,
        labels=study.public.labels,
        ask_seen=study.public.ask_seen,
        steps=STEPS,
        round=study.public.cases,
    )


@router.post(
    "/display",
    status_code=204,
    response_model=None,
    dependencies=[Depends(guarded)],
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def display(sent: Display, who: Reading, study: Study) -> None:
    """What the reader says about their screen; may be said again when it changes."""
    with study.database.write() as session:
        if not is_open(session):
            raise Refusal(409, "closed", _WAITING["closed"], next_step="there is nothing left to do")
        record(session, Event(who=who.reader.name, what="display", new=sent.model_dump(mode="json")))


@router.get("/trials/next", responses=problems(401, 403, 409))
def next_trial(who: Reading, study: Study) -> TrialShown:
    """The trial whose turn it is; 409 with ``standing`` where none waits."""
    for _ in range(3):
        places, stands = standings.shown_places(study, who.reader.id), _standing(study, who.reader.id)
        here = None if places.next is None else places.next.number
        if here == stands.next_number:
            break  # else another tab of the same reader has just answered
    if places.next is None:
        thing = _WAITING.get(stands.phase, "no trial can be shown now")
        step = f"come back after {stands.opens}" if stands.opens else "load the page again, or close it"
        raise Refusal(409, stands.phase, thing, next_step=step, standing=stands)
    ahead = tuple(_question(study, place) for place in places.ahead)
    return TrialShown(**dict(_question(study, places.next)), ahead=ahead, standing=stands)


@router.get("/trials/last", responses=problems(401, 403, 404))
def last_trial(who: Reading, study: Study) -> TrialAnswered:
    """The last trial that was answered, as long as it may be looked at again."""
    place = standings.shown_places(study, who.reader.id).last
    answer = given(study, who.reader.id, place.number) if place else None
    if place is None or answer is None:
        thing = "there is no answer that could be corrected now"
        raise Refusal(404, "nothing-answered", thing, next_step="go on with the next trial")
    return TrialAnswered(
        **dict(_question(study, place)),
        answer=answer.answer,
        version=answer.version,
        saved=answer.saved,
        standing=_standing(study, who.reader.id),
    )


@router.post("/answers", dependencies=[Depends(guarded)], responses=problems(400, 401, 403, 404, 409, 413, 415, 422))
def answer(sent: Sent, who: Reading, study: Study, *, lenient: LenientStudy) -> Saved:
    """Save an answer, or correct one (``reason``); comes back when it is on the disk.

    An amendment does not reach a trial that was shown before it: labels that it took away are still taken.
    Sent again with the same ``id`` it counts once. ``shown`` decides nothing and is kept as it came.
    """
    saved = save_answer(lenient, who.reader.id, sent)
    return Saved(
        saved=saved.saved,
        number=saved.number,
        version=saved.version,
        again=saved.again,
        standing=_standing(study, who.reader.id),
    )


def _standing(study: OpenStudy, reader: int) -> StandingNow:
    found = asdict(standings.standing(study, reader))
    return StandingNow(**found, protocol=len(study.public.amendments))


def _question(study: OpenStudy, place: standings.Place) -> Question:
    images = tuple(shown(study, image) for image in place.images)
    return Question.model_validate(
        {
            "trial": place.token,
            "number": place.number,
            "task": place.task,
            "session": place.session,
            "images": images,
        }
    )
