"""HTTP as uvicorn speaks it, but for two things: what is no HTTP is answered with the headers of every other response,
and a connection on which nothing moves is ended.
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

    #: Seconds after which something must have moved; until then the head of the first request must be there.
    patience = PATIENCE

    def connection_made(self, transport: Any) -> None:
        """Begin to look at the connection from time to time."""
        super().connection_made(transport)
        self._seen: tuple[object, int] = (None, 0)
        self._looking: asyncio.TimerHandle = self.loop.call_later(self.patience, self.look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no longer."""
        self._looking.cancel()
        super().connection_lost(exc)

    def look(self) -> None:
        """End the connection where nothing has moved since the last look: no head of a request came to its end, what
        comes after an answer is no request, or nothing more of an answer was taken.
        """
        cycle: object = self.cycle  # uvicorn's type leaves out that there may be none
        unsent = self.transport.get_write_buffer_size()
        same, self._seen = self._seen == (cycle, unsent), (cycle, unsent)
        if same and unsent:
            self.transport.abort()  # closing would wait for the answer to be taken
        elif same and (cycle is None or self.cycle.response_complete):
            self.transport.close()
        else:
            self._looking = self.loop.call_later(self.patience, self.look)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; ``msg`` is uvicorn's, and not passed on."""
        self.transport.write(NOT_HTTP)
        self.transport.close()


def _not_http() -> bytes:
    fault = Fault(code="not-http", thing="this is no request of HTTP", next="send one")
    body = json.dumps(Problem(error=fault).model_dump(exclude_none=True)).encode()
    headers = {**HEADERS, "content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 400 Bad Request\r\n{lines}\r\n".encode() + body


#: The whole response.
NOT_HTTP = _not_http()
