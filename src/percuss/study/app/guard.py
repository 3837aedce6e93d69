"""What stands before every request: whom it is for, who sent it, how long it is, whether its JSON can be trusted; and
the headers of every response. It is the outermost part of the app, so that its errors carry the headers too.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from percuss.study.app.hosts import Hosts
from percuss.study.app.problems import Refusal, of_error
from percuss.study.app.sound_json import check_json

_LOG = logging.getLogger("percuss.study")
#: Longest body, in bytes, and the seconds that it may take to arrive.
LONGEST, PATIENCE = 64 * 1024, 30.0
_JSON = re.compile(r"\s*application/json\s*(;\s*charset=\"?utf-8\"?\s*)?")
_READS = {"GET", "HEAD", "OPTIONS"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: On every response, whatever it is, so that headers tell nothing apart.
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "cache-control": "no-store",
    "x-robots-tag": "noindex, nofollow",
}


class Guard:
    """Wraps an app; see the module.

    Args:
        app: what is wrapped.
        longest: bytes a body may have.
        patience: seconds a body may take to arrive.
    """

    def __init__(self, app: ASGIApp, longest: int = LONGEST, patience: float = PATIENCE) -> None:
        self.app, self.longest, self.patience = app, longest, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; WebSockets are closed, and what is no request goes through."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun, status = time.perf_counter(), 0

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                kept = [(name, value) for name, value in message["headers"] if name.decode("latin-1") not in HEADERS]
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": kept + added}
            await send(message)

        request = Request(scope)
        try:
            _check_host(request)
            _check_path(request)
            _check_origin(request)
            body = await self._body_in_time(request, receive)
            _check_body(request, body)
            await self.app(scope, _replay(body, receive), with_headers)
        except Exception as error:
            if not status:
                await of_error(request, error)(scope, receive, with_headers)
            else:
                # Part of the answer is out: all that can be done is to end it, which the client sees as cut off.
                _LOG.error("an answer broke off: %s", type(error).__name__)
        finally:
            # The route, not the path: paths hold tokens.
            route = getattr(scope.get("route"), "path", "-")
            _LOG.info("%s %s %s %.0f ms", request.method, route, status, 1000 * (time.perf_counter() - begun))

    async def _body_in_time(self, request: Request, receive: Receive) -> bytes:
        try:
            return await asyncio.wait_for(self._body(request, receive), self.patience)
        except TimeoutError:
            raise Refusal(408, "slow", "the request took too long", allowed=f"{self.patience:g} seconds") from None

    async def _body(self, request: Request, receive: Receive) -> bytes:
        said = request.headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit()) or int(said) > self.longest:
            raise self._too_long()
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.longest:
                raise self._too_long()
            more = message.get("more_body", False)
        return b"".join(parts)

    def _too_long(self) -> Refusal:
        return Refusal(413, "too-long", "the request is too long", allowed=f"at most {self.longest} bytes")


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever the connection says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _check_host(request: Request) -> None:
    """Refuse what is for another server than this one; see ``hosts``."""
    hosts: Hosts = request.app.state.hosts
    # A target with a host of its own would stand above Host; only proxies are sent such targets.
    if not request.scope["path"].startswith("/"):
        step = "ask for a path of this server, such as /healthz"
        raise Refusal(400, "malformed", "the target of the request is no path", next_step=step)
    if not hosts.take(request.headers.get("host", "")):
        step = "use an address that percuss study serve printed, or start it with --allow-host and the name you use"
        raise Refusal(421, "wrong-host", "this server does not go by this name", next_step=step)


def _check_path(request: Request) -> None:
    """Refuse what is written in hex: no address here needs it, and a proxy may read a slash so written otherwise."""
    if b"%" in request.scope["raw_path"]:
        raise Refusal(404, "http-404", "there is nothing here", next_step="check the address")


def _check_origin(request: Request) -> None:
    """Refuse what another site sends: browsers say where a request comes from, in ``Origin`` or ``Sec-Fetch-Site``."""
    if request.method in _READS:
        return
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    host = request.headers.get("host", "")
    # Hosts, not schemes: a reverse proxy that ends TLS speaks plain HTTP to us.
    foreign = origin is not None and _host_of(origin) != host.lower()
    if foreign or site not in ("same-origin", "none"):
        step = "open the study's own page; behind a reverse proxy, let it pass on the header Host"
        raise Refusal(403, "foreign-origin", "the request comes from another site", next_step=step)


def _host_of(origin: str) -> str | None:
    """Host and port, in small letters; None where the text is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # such as http://[
        return None


def _check_body(request: Request, body: bytes) -> None:
    if not body or request.method in _READS:
        return
    said = request.headers.getlist("content-type")
    packed = request.headers.getlist("content-encoding")
    if len(said) != 1 or not _JSON.fullmatch(said[0].lower()) or packed:
        allowed = "application/json in UTF-8, not compressed"
        raise Refusal(415, "content-type", "the request is of a kind that is not taken", allowed=allowed)
    check_json(body)
