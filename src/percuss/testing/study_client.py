"""The HTTP interface of a study as a careful program uses it: what browsers and simulated readers both can do.

Whatever is lost on the way is sent again until it is answered; an answer keeps its id, so that it counts once.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import httpx

from percuss.core.errors import PercussError
from percuss.study.answers import Sent
from percuss.testing.faults import Faults, FaultyTransport

#: Seconds between two tries, and how long the server may take for one reply.
_PAUSE, _REPLY = 0.05, 30.0


class Denied(PercussError):
    """A request that the server understood and refused.

    Attributes:
        status: HTTP status.
        code: the server's word for programs; empty where it gave none.
        body: what it answered, as JSON.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.body: Any = response.json() if "json" in response.headers.get("content-type", "") else {}
        error = self.body.get("error", {}) if isinstance(self.body, dict) else {}
        self.code = str(error.get("code", ""))
        value = f"{self.status} {self.code}".strip()
        super().__init__(str(error.get("thing", "the server refused")), value=value, next_step=error.get("next", ""))


class StudyClient:
    """One person's connection to a study.

    Args:
        url: of the server, as it prints it.
        faults: how bad the network is; None is a good one.
        patience: seconds for which a request is sent again before its error is raised.
    """

    def __init__(self, url: str, *, faults: Faults | None = None, patience: float = 60.0) -> None:
        self._url, self._patience = url.rstrip("/"), patience
        plain = httpx.HTTPTransport()
        self._http = httpx.Client(
            base_url=self._url,
            transport=plain if faults is None else FaultyTransport(plain, faults),
            timeout=_REPLY,
            headers={"Origin": self._url},
        )
        self._csrf = ""
        self.tries = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def log_in(self, secret: str) -> dict[str, Any]:
        """Log in with a code or the token of a link; what the server says of who this is."""
        said: dict[str, Any] = self._ask("POST", "/api/v1/login", json={"secret": secret})
        self._csrf = said["csrf"]
        return said

    def log_out(self) -> None:
        """End the login."""
        self._ask("POST", "/api/v1/logout")

    def standing(self) -> dict[str, Any]:
        """How far this reader is."""
        said: dict[str, Any] = self._ask("GET", "/api/v1/standing")
        return said

    def next(self) -> dict[str, Any] | None:
        """The trial whose turn it is; None where none waits now."""
        try:
            said: dict[str, Any] = self._ask("GET", "/api/v1/trials/next")
        except Denied as error:
            if error.status == 409:
                return None
            raise
        return said

    def image(self, url: str) -> bytes:
        """The bytes of an image, by the URL that came with its trial."""
        return self._send("GET", url).content

    def answer(self, sent: Sent) -> dict[str, Any]:
        """Send an answer until it is acknowledged; the acknowledgement. Denied where it is refused."""
        said: dict[str, Any] = self._ask("POST", "/api/v1/answers", json=sent.model_dump(mode="json"))
        return said

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Any other request of the interface; its JSON, or None where the reply has no body."""
        return self._ask(method, path, json=body) if body is not None else self._ask(method, path)

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        response = self._send(method, path, **content)
        return response.json() if response.content else None

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send until there is a reply that says yes or no; a server that is away or busy says neither."""
        end = time.monotonic() + self._patience
        while True:
            self.tries += 1
            wait = _PAUSE
            try:
                response = self._http.request(method, path, headers={"X-CSRF-Token": self._csrf}, **content)
                if response.status_code not in (429, 502, 503, 504):
                    break
                wait = max(wait, float(response.headers.get("Retry-After", wait)))
            except httpx.TransportError:
                if time.monotonic() + wait > end:
                    raise
            else:
                if time.monotonic() + wait > end:
                    raise Denied(response)
            time.sleep(wait)
        if response.is_error:
            raise Denied(response)
        return response
