"""What an administrator sees and does before the study is closed: progress and access, and not one answer."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from percuss.study import access
from percuss.study.app.admin_records import Closing, HeadNow, NewCredentials, OfReader, OfSession, Progress
from percuss.study.app.current import Study
from percuss.study.app.login import Administering, guarded
from percuss.study.app.problems import problems
from percuss.study.closing import close
from percuss.study.overriding import override_washout
from percuss.study.progress import status

router = APIRouter(prefix="/admin", tags=["administration"])
_GUARDED = [Depends(guarded)]
_ERRORS = problems(400, 401, 403, 413, 415, 422)


@router.get("/progress", responses=problems(401, 403))
def progress(who: Administering, study: Study) -> Progress:
    """How far everybody is."""
    found = status(study)
    values = {"title": study.info.title, "trials": study.public.trials, "state": found.state, "closed": found.closed}
    return Progress.model_validate({**values, "readers": found.readers, "head": found.head})


@router.post("/revoke", status_code=204, response_model=None, dependencies=_GUARDED, responses=_ERRORS)
def revoke(sent: OfReader, who: Administering, study: Study) -> None:
    """End somebody's access: code, link and every login. Their answers stay."""
    access.revoke(study, sent.name, who=who.reader.name, reason=sent.reason)


@router.post("/renew", dependencies=_GUARDED, responses=_ERRORS)
def renew(sent: OfReader, who: Administering, study: Study) -> NewCredentials:
    """A new code and link for somebody; the old ones and every login end. This answer alone shows them."""
    new = access.renew(study, sent.name, who=who.reader.name, reason=sent.reason)
    return NewCredentials(name=new.name, code=new.code, link=f"/r/{new.link_token}")


@router.post("/override", status_code=204, response_model=None, dependencies=_GUARDED, responses=_ERRORS)
def override(sent: OfSession, who: Administering, study: Study) -> None:
    """Open a session before its wash-out is over; told in the results as a deviation."""
    override_washout(study, sent.name, sent.session, who=who.reader.name, reason=sent.reason)


@router.post("/close", dependencies=_GUARDED, responses=_ERRORS)
def close_study(sent: Closing, who: Administering, study: Study) -> HeadNow:
    """Close the study for good: no answer is taken any more. The end of the audit trail comes back, to be noted."""
    return HeadNow.model_validate(close(study, who=who.reader.name, reason=sent.reason))
