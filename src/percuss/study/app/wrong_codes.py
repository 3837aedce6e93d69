"""Refused attempts to log in, told in the audit trail: at once, and then in sums, so that nobody can fill the trail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from percuss.study.opening import OpenStudy
from percuss.study.trail import Event, record

#: Who writes it, and what it is called.
SERVER, REFUSED = "server", "log in refused"


class WrongCodes:
    """Counts attempts that were refused; safe to share between threads.

    Args:
        every: seconds that pass at least between two records.
        clock: seconds that only go up.
    """

    def __init__(self, *, every: float = 600.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock = every, clock
        self._waiting = 0
        self._next = -float("inf")
        self._lock = threading.Lock()

    def refused(self, study: OpenStudy, *, now: datetime | None = None) -> None:
        """Count one attempt, and record all that were not told yet where enough time has passed since the last record.

        Neither what was typed nor where it came from is kept.
        """
        with self._lock:
            self._waiting += 1
            moment = self._clock()
            if moment < self._next:
                return
            times, self._waiting, self._next = self._waiting, 0, moment + self._every
        with study.database.write() as session:
            record(session, Event(who=SERVER, what=REFUSED, new={"times": times}), now=now)
