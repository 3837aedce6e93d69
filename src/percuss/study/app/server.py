"""The app of a study: its routes behind its guard."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from percuss.core.errors import PercussError
from percuss.study.app import admin, api, images, login, pages
from percuss.study.app.cookie import signing_key
from percuss.study.app.guard import Guard
from percuss.study.app.hosts import Hosts
from percuss.study.app.limits import Attempts
from percuss.study.app.pictures import check_lengths
from percuss.study.app.problems import MEANINGS, Fault, Problem, of_error
from percuss.study.app.running_study import RunningStudy
from percuss.study.app.wrong_codes import WrongCodes
from percuss.study.opening import OpenStudy

_ABOUT = (
    "The interface of a reader study, the same for browsers and simulated readers. A login sets the cookie "
    "``percuss_session``; every further POST carries ``csrf`` in the header ``X-CSRF-Token`` and a JSON body. "
    "No answer tells the arm, the case or the truth of an image."
)
#: OpenTelemetry, if a server has it, would write down paths, and paths hold tokens.
_SILENT: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(study: OpenStudy, *, secure: bool = False, hosts: Hosts | None = None) -> FastAPI:
    """The app that serves one study.

    Args:
        study: as ``open_study`` gives it.
        secure: browsers reach it by TLS, here or at a reverse proxy: cookies travel by TLS only.
        hosts: what it answers to; None takes the names of this machine for itself, with any port.

    Raises:
        RunError: image files that differ in length, or no key for the cookies.
    """
    check_lengths(study.folder.images)
    app = bare_app()
    app.state.study, app.state.secure, app.state.attempts = RunningStudy(study), secure, Attempts()
    app.state.hosts = hosts or Hosts()
    app.state.wrong_codes, app.state.cookie_key = WrongCodes(), signing_key(study.folder.path)
    return app


def bare_app() -> FastAPI:
    """The routes without a study, which is all that the documentation needs."""
    app = FastAPI(
        title="Percuss reader study",
        version=version("percuss"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
        telemetry=_SILENT,
    )
    interface = APIRouter(prefix="/api/v1")
    for part in (login.router, api.router, images.router, admin.router):
        interface.include_router(part)
    app.include_router(interface)
    app.include_router(pages.router)
    refused: dict[int | str, dict[str, Any]] = {421: {"model": Problem, "description": MEANINGS[421]}}
    app.add_api_route("/healthz", health, include_in_schema=True, tags=["server"], responses=refused)
    for kind in (HTTPException, RequestValidationError, PercussError):
        app.add_exception_handler(kind, told)
    app.add_middleware(Guard)
    return app


def health() -> dict[str, bool]:
    """The server is there."""
    return {"ok": True}


def told(request: Request, error: Exception) -> Response:
    """An error as JSON, or as a page where a browser went to a page."""
    response = of_error(request, error)
    wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")
    if not wants_page or not isinstance(response, JSONResponse):
        return response
    fault: Fault = Problem.model_validate_json(bytes(response.body)).error
    values = {"title": request.app.state.study.now().info.title, "status": response.status_code}
    return pages.page("error", response.status_code, thing=fault.thing, next=fault.next, **values)
