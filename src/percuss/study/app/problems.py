"""Every error of the HTTP interface in one form: a code for programs, and for people the thing, what is allowed, and
the next step. No value, no path and no traceback reaches the browser.
"""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from percuss.core.errors import DataError, PercussError, UsageError
from percuss.study.app.records import StandingNow
from percuss.study.database import DatabaseGone

_LOG = logging.getLogger("percuss.study")
_DATABASE = (DatabaseGone, InterfaceError, OperationalError, PoolTimeout)
_NEXT = {
    400: "send the request as docs/study-api.md describes",
    404: "check the address",
    405: "use the method that docs/study-api.md names",
}

#: What each status of an error means, for the documentation.
MEANINGS = {
    400: "The body is not JSON in UTF-8 (``malformed``).",
    401: "Nobody is logged in (``not-logged-in``), or the code is wrong (``wrong-secret``).",
    403: "Another role (``other-role``), another site (``foreign-origin``), or no CSRF token (``csrf``).",
    404: "There is no such thing for who asks: one of somebody else looks like one that never was.",
    409: "Not now: ``not-next``, ``answered``, ``not-answered``, ``id-used``, ``closed``, ``session-not-open``,"
    " ``washout``, ``finished``.",
    413: "The body is longer than 65536 bytes (``too-long``).",
    415: "The body is not ``application/json`` in UTF-8, or is compressed (``content-type``).",
    421: "The request is for a name that this server does not go by (``wrong-host``).",
    422: "Fields are not as they must be (``invalid``), or cannot be honoured.",
    429: "Too many wrong codes (``too-often``); ``Retry-After`` says how many seconds to wait.",
    500: "An error of the server (``unexpected``); its log has it under the number that is told.",
    503: "The database does not answer (``unavailable``); to be sent again.",
}


class Fault(BaseModel):
    """What went wrong.

    Attributes:
        code: short and stable, for programs.
        thing: what is wrong. allowed: what would have been accepted. next: what to do now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    code: str
    thing: str
    allowed: str = ""
    next: str = ""


class Problem(BaseModel):
    """The body of every answer with status 400 or above: the ``error``; ``standing`` where no trial waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    error: Fault
    standing: StandingNow | None = Field(default=None)


class Refusal(PercussError):
    """A request that is refused on purpose.

    Args:
        status: of HTTP.
        code: short and stable, for programs.
        thing: what is wrong, without anything that was sent.
        allowed: what would have been accepted.
        next_step: what to do now.
        headers: further headers of the answer, such as ``Retry-After``.
    """

    def __init__(self, status: int, code: str, thing: str, **more: Any) -> None:
        super().__init__(thing, allowed=more.get("allowed", ""), next_step=more.get("next_step", ""))
        self.status, self.code = status, code
        self.headers: dict[str, str] = more.get("headers", {})
        self.standing: StandingNow | None = more.get("standing")


def problem(status: int, fault: Fault, *, standing: StandingNow | None = None, **headers: str) -> JSONResponse:
    """The answer to a request that failed; ``headers`` with underscores for dashes."""
    body = Problem(error=fault, standing=standing).model_dump(mode="json", exclude_none=True)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(body, status_code=status, headers=named)


def unexpected(error: BaseException) -> JSONResponse:
    """The answer to an error that nobody expected. The log gets its kind and lines of code under a random number.

    Its message stays out of both: it may hold what a reader typed or the database was given.
    """
    number = secrets.token_hex(4)
    frames = traceback.extract_tb(error.__traceback__)
    lines = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-8:]))
    _LOG.error("incident %s: %s in %s", number, type(error).__name__, lines)
    step = f"send it again; if that fails too, tell the administrator the number {number}, which is in the server's log"
    return problem(500, Fault(code="unexpected", thing="the server failed at this request", next=step))


def of_error(request: Request, error: Exception) -> Response:
    """The answer to an error that was raised while a request was handled."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, RequestValidationError):
        return problem(422, _of_fields(error.errors()))
    if isinstance(error, _DATABASE) or isinstance(error.__cause__, _DATABASE):
        _LOG.error("the database did not answer: %s", type(error).__name__)
        step = "wait a moment and send it again: an answer counts once"
        fault = Fault(code="unavailable", thing="the study's database does not answer", next=step)
        return problem(503, fault, Retry_After="2")
    if not isinstance(error, PercussError):
        return unexpected(error)
    status = getattr(error, "status", 422 if isinstance(error, UsageError | DataError) else 500)
    if status >= 500:
        return unexpected(error)
    code = getattr(error, "code", "refused")
    fault = Fault(code=code, thing=error.thing, allowed=error.allowed, next=error.next_step)
    response = problem(status, fault, standing=getattr(error, "standing", None))
    response.headers.update(getattr(error, "headers", {}))
    return response


def _of_http(error: HTTPException) -> JSONResponse:
    things = {404: "there is nothing here", 405: "this method is not taken here"}
    thing = things.get(error.status_code, "the request cannot be read")
    fault = Fault(code=f"http-{error.status_code}", thing=thing, next=_NEXT.get(error.status_code, _NEXT[400]))
    response = problem(error.status_code, fault)
    response.headers.update(error.headers or {})
    return response


def _of_fields(errors: Sequence[Any]) -> Fault:
    """Which fields are wrong and why, without what was sent in them."""
    told = []
    for error in errors[:5]:
        where = ".".join(part for part in map(str, error["loc"][1:]) if part.replace("_", "").isalnum())[:80]
        told.append(f"{where or 'body'}: {_reason(error)}")
    thing = "fields of the request are not as they must be"
    return Fault(code="invalid", thing=thing, allowed="; ".join(told), next=_NEXT[400])


def _reason(error: dict[str, Any]) -> str:
    """Pydantic's message, unless it repeats the value."""
    messages = {"extra_forbidden": "there is no such field", "union_tag_invalid": "one of the tasks"}
    return messages.get(error["type"], "not as documented" if error["type"].startswith("value_error") else error["msg"])


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI says of an endpoint's errors."""
    return {
        status: {"model": Problem, "description": MEANINGS[status]} for status in sorted({*statuses, 421, 500, 503})
    }
