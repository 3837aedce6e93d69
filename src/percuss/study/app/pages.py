"""The pages, and the files they load: a fixed list, read once, so that no path leads anywhere else."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from percuss.study import access
from percuss.study.app.cookie import COOKIE
from percuss.study.app.current import Study
from percuss.study.app.login import token_in
from percuss.study.app.problems import Refusal

_HERE = Path(__file__).parent
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_LINK = re.compile(r"[A-Za-z0-9_-]{20,128}")
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    """What they are given is escaped, and a name that is missing is an error."""
    return Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined)


@lru_cache(maxsize=1)
def static_files() -> dict[str, tuple[bytes, str]]:
    """Content and type of every file of ``static`` by its name."""
    there = sorted((_HERE / "static").iterdir())
    return {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in there if path.suffix in _TYPES}


def page(name: str, status: int = 200, /, **values: object) -> HTMLResponse:
    """A page from its template."""
    return HTMLResponse(_templates().get_template(f"{name}.html.jinja").render(**values), status_code=status)


def login_by_cookie(request: Request, study: Study) -> access.Login | None:
    """Who is logged in in this browser, or None."""
    token = token_in(request, request.cookies.get(COOKIE))
    return access.login_of(study, token) if token else None


_Who = Annotated[access.Login | None, Depends(login_by_cookie)]


@router.get("/")
def entry(study: Study) -> Response:
    """Where a code is entered."""
    return page("entry", title=study.info.title)


@router.get("/r/{secret}")
def link(secret: str, study: Study) -> Response:
    """Where a personal link leads: a page with a button that logs in. Opening it alone logs nobody in, so that a
    program that looks at links in mail does no harm, and it tells nothing of whether the link is valid.
    """
    if not _LINK.fullmatch(secret):
        raise Refusal(404, "http-404", "there is nothing here", next_step="open the link as it was given")
    return page("link", title=study.info.title, name="", secret=secret)


@router.get("/read")
def read(study: Study, who: _Who) -> Response:
    """Where trials are read."""
    if who is None or who.reader.role != "reader":
        return RedirectResponse("/" if who is None else "/admin", status_code=303)
    return page("read", title=study.info.title)


@router.get("/admin")
def admin(study: Study, who: _Who) -> Response:
    """Where an administrator sees how far readers are."""
    if who is None:
        return RedirectResponse("/", status_code=303)
    if who.reader.role != "administrator":
        raise Refusal(403, "other-role", "this page is for administrators", next_step="go to your own page: /read")
    return page("admin", title=study.info.title)


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A file that pages load."""
    if name not in static_files():
        raise Refusal(404, "http-404", "there is nothing here", next_step="check the address")
    content, kind = static_files()[name]
    return Response(content, media_type=kind)


@router.get("/favicon.ico")
def favicon() -> Response:
    """Nothing, which spares browsers an error."""
    return Response(status_code=204)
