"""Logging in and out, and who a request comes from.

The cookie holds 256 bits of chance with their signature and nothing else; the server keeps their SHA-256 with who it
is, since when, and whether it ended.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyCookie, APIKeyHeader

from percuss.study import access
from percuss.study.app.cookie import COOKIE, signed, unsigned
from percuss.study.app.current import Study, secure
from percuss.study.app.limits import Attempts
from percuss.study.app.problems import Refusal, problems
from percuss.study.app.records import LoggedIn, Login

#: Name of the header that shows that a POST comes from our own page.
CSRF = "X-CSRF-Token"
router = APIRouter(tags=["login"])
_cookie = APIKeyCookie(name=COOKIE, scheme_name="session", auto_error=False)
_csrf = APIKeyHeader(name=CSRF, scheme_name="csrf", auto_error=False)


def token_in(request: Request, cookie: str | None) -> str | None:
    """The token of a cookie that this study has signed, else None."""
    return unsigned(cookie, request.app.state.cookie_key) if cookie else None


def logged_in(study: Study, cookie: Annotated[str | None, Depends(_cookie)], *, request: Request) -> access.Login:
    """Who a request comes from; 401 where nobody is logged in."""
    token = token_in(request, cookie)
    login = access.login_of(study, token) if token else None
    if login is None:
        step = "open your link, or enter your code on the first page; answers that were not sent yet are kept"
        raise Refusal(401, "not-logged-in", "nobody is logged in here", next_step=step)
    return login


def reader(login: Annotated[access.Login, Depends(logged_in)]) -> access.Login:
    """A reader's request; 403 for an administrator's."""
    return _in_role(login, "reader")


def administrator(login: Annotated[access.Login, Depends(logged_in)]) -> access.Login:
    """An administrator's request; 403 for a reader's."""
    return _in_role(login, "administrator")


def guarded(login: Annotated[access.Login, Depends(logged_in)], csrf: Annotated[str | None, Depends(_csrf)]) -> None:
    """403 unless the header shows what only our own page can know."""
    if not csrf or not hmac.compare_digest(csrf.encode(), login.csrf.encode()):
        step = f"take csrf from GET /api/v1/standing into the header {CSRF}, and send it again"
        raise Refusal(403, "csrf", "the request does not show that it comes from the study's own page", next_step=step)


#: What an endpoint asks for.
Reading = Annotated[access.Login, Depends(reader)]
Administering = Annotated[access.Login, Depends(administrator)]
Anybody = Annotated[access.Login, Depends(logged_in)]


@router.post("/login", responses=problems(400, 401, 403, 413, 415, 422, 429))
def login(sent: Login, study: Study, *, request: Request, response: Response) -> LoggedIn:
    """Log in by code or link; a browser that was logged in is logged out first.

    Every wrong secret gets the same answer. After ten an address waits half a minute for each further one (429 with
    ``Retry-After``); who is logged in already is not concerned. The audit trail tells how many were refused.
    """
    found = _asked(sent.secret, study, request)
    before = token_in(request, request.cookies.get(COOKIE))
    if before:
        access.log_out(study, before)
    cookie = signed(found.token, request.app.state.cookie_key)
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=secure(request), path="/")
    return LoggedIn(csrf=found.csrf, name=found.reader.name, role=found.reader.role)  # type: ignore[arg-type]


@router.post(
    "/logout",
    status_code=204,
    response_model=None,
    dependencies=[Depends(guarded)],
    responses=problems(400, 401, 403, 413, 415),
)
def logout(who: Anybody, study: Study, *, request: Request, response: Response) -> None:
    """End the login of this browser."""
    access.log_out(study, who.token)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure(request), path="/")


def _asked(secret: str, study: Study, request: Request) -> access.Login:
    """The login of a right secret; else the refusal, which is counted."""
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else None
    with attempts.turn:
        wait = attempts.ask(address)
        found = None if wait else access.log_in(study, secret)
        if found is not None:
            attempts.right(address)
            return found
    request.app.state.wrong_codes.refused(study)
    if wait:
        step = f"wait {wait} seconds and try again; whoever lost their code asks the administrator for a new one"
        raise Refusal(429, "too-often", "too many wrong codes", next_step=step, headers={"Retry-After": str(wait)})
    step = "type it as it was given, or ask the administrator for a new one"
    raise Refusal(401, "wrong-secret", "this code or link is not valid", next_step=step)


def _in_role(login: access.Login, role: str) -> access.Login:
    if login.reader.role != role:
        step = f"log in with a code of that role: {role}"
        raise Refusal(403, "other-role", f"only for this role: {role}", next_step=step)
    return login
