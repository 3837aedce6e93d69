"""What an endpoint finds in the app it belongs to: the study, and whether browsers reach it by TLS."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from percuss.study.opening import OpenStudy


def study_of(request: Request) -> OpenStudy:
    """The study that is served."""
    study: OpenStudy = request.app.state.study
    return study


def secure(request: Request) -> bool:
    """Whether cookies are to travel by TLS only."""
    return bool(request.app.state.secure)


Study = Annotated[OpenStudy, Depends(study_of)]
