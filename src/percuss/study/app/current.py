"""What an endpoint finds in the app it belongs to: the study, and whether browsers reach it by TLS."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from percuss.study.app.running_study import RunningStudy
from percuss.study.opening import OpenStudy


def study_of(request: Request) -> OpenStudy:
    """The study that is served, as it is in force; one view of it for the whole request."""
    running: RunningStudy = request.app.state.study
    if request.method == "POST":
        running.settle()
    return running.now()


def lenient_of(request: Request) -> OpenStudy:
    """The same for what comes back of a trial that is on a screen already; see ``RunningStudy.lenient``."""
    running: RunningStudy = request.app.state.study
    return running.lenient()


def views_of(request: Request) -> tuple[OpenStudy, ...]:
    """Both, where their wash-outs differ: an image that the first does not show may be on a screen already."""
    now, lenient = study_of(request), lenient_of(request)
    return (now,) if now.public.washout_days == lenient.public.washout_days else (now, lenient)


def secure(request: Request) -> bool:
    """Whether cookies are to travel by TLS only."""
    return bool(request.app.state.secure)


Study = Annotated[OpenStudy, Depends(study_of)]
Views = Annotated[tuple[OpenStudy, ...], Depends(views_of)]
LenientStudy = Annotated[OpenStudy, Depends(lenient_of)]
