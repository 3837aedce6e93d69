"""HTTP as uvicorn speaks it, but for two things: what is no HTTP is answered with the headers of every other response,
and a connection on which no request arrives is ended.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from percuss.study.app.guard import HEADERS, PATIENCE
from percuss.study.app.problems import Fault, Problem


class StudyProtocol(H11Protocol):
    """One connection."""

    #: Seconds until the head of the first request must be there.
    patience = PATIENCE

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle = self.loop.call_later(self.patience, self._end_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._waiting.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; ``msg`` is uvicorn's, and not passed on."""
        self.transport.write(NOT_HTTP)
        self.transport.close()

    def _end_if_silent(self) -> None:
        if not self._asked():
            self.transport.close()

    def _asked(self) -> bool:
        """Whether a request came; uvicorn's type leaves out that there may be none."""
        cycle: object = self.cycle
        return cycle is not None


def _not_http() -> bytes:
    fault = Fault(code="not-http", thing="this is no request of HTTP", next="send one")
    body = json.dumps(Problem(error=fault).model_dump(exclude_none=True)).encode()
    headers = {**HEADERS, "content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 400 Bad Request\r\n{lines}\r\n".encode() + body


#: The whole response.
NOT_HTTP = _not_http()
