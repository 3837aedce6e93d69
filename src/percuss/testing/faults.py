"""A network that loses requests and replies, sends requests twice and lets them wait, by chance from a seed."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Faults:
    """How bad the network is; shares of all requests, in [0, 1].

    Attributes:
        lost: requests that never arrive.
        unanswered: requests that arrive, and whose reply is lost.
        twice: requests that arrive twice, at the same time.
        delay: longest wait before a request, in seconds; each waits by chance between 0 and this.
        seed: of chance.
    """

    lost: float = 0.0
    unanswered: float = 0.0
    twice: float = 0.0
    delay: float = 0.0
    seed: int = 0


class FaultyTransport(httpx.BaseTransport):
    """Sends requests as ``inner`` does, with faults.

    Args:
        inner: what sends them; it must stand two threads.
        faults: how bad it is.

    Attributes:
        counts: how often each fault happened so far.
    """

    def __init__(self, inner: httpx.BaseTransport, faults: Faults) -> None:
        self._inner, self._faults = inner, faults
        self._chance = random.Random(faults.seed)
        self.counts = {"lost": 0, "unanswered": 0, "twice": 0}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; httpx.TransportError where it or its reply is lost."""
        # All four are drawn for every request, so that one share does not move what the others do.
        wait, lost, twice, unanswered = (self._chance.random() for _ in range(4))
        time.sleep(wait * self._faults.delay)
        if lost < self._faults.lost:
            self.counts["lost"] += 1
            raise httpx.ConnectError("the request was lost on purpose", request=request)
        request.read()
        second = threading.Thread(target=self._quietly, args=(request,))
        if twice < self._faults.twice:
            self.counts["twice"] += 1
            second.start()
        try:
            response = self._inner.handle_request(request)
        finally:
            if second.ident is not None:
                second.join()
        if unanswered < self._faults.unanswered:
            self.counts["unanswered"] += 1
            response.read()
            response.close()
            raise httpx.ReadError("the reply was lost on purpose", request=request)
        return response

    def close(self) -> None:
        """Close what sends."""
        self._inner.close()

    def _quietly(self, request: httpx.Request) -> None:
        copy = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        try:
            response = self._inner.handle_request(copy)
            response.read()
            response.close()
        except httpx.TransportError:
            return
