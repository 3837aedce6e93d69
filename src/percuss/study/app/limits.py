"""How often a wrong code may be tried: by one address, and by all together.

Only wrong attempts count. A store for each address fills up with attempts and drains steadily (a leaky bucket): who
waits gets on. One address can fill its own store only, so nobody is locked out by another address; when many addresses
together have filled the store of all, addresses that had logged in before still get on.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

#: Most addresses remembered; the longest unheard is forgotten first.
REMEMBERED = 10_000


class _Bucket:
    """Attempts that drain: at most ``most`` at once, one more every ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds, self.empty_at = most, seconds, -math.inf

    def wait(self, now: float) -> float:
        """Seconds until an attempt is taken; 0 or less where it is now."""
        return self.empty_at - now - (self.most - 1) * self.seconds

    def add(self, now: float) -> None:
        self.empty_at = max(self.empty_at, now) + self.seconds

    def take_back(self) -> None:
        self.empty_at -= self.seconds


class Attempts:
    """Counts attempts to log in; safe to share between threads.

    ``turn`` is held from ``ask`` to ``right``: an attempt under way counts as wrong until it is known, and many readers
    who log in at one moment from one hospital's address would fill its store with right codes.

    Args:
        each: wrong attempts that one address may make at once, then one every ``seconds``.
        seconds: see ``each``.
        overall: wrong attempts that all addresses together may make at once, then one every second.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        *,
        each: int = 10,
        seconds: float = 30.0,
        overall: int = 300,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._each, self._seconds, self._clock = each, seconds, clock
        self._all = _Bucket(overall, 1.0)
        self._of: OrderedDict[str, _Bucket] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self.turn = threading.Lock()

    def ask(self, address: str | None) -> int:
        """0, and the attempt is counted; or the whole seconds to wait, and it is not."""
        who = group(address)
        with self._lock:
            now = self._clock()
            own = self._of.setdefault(who, _Bucket(self._each, self._seconds))
            self._of.move_to_end(who)
            _shorten(self._of)
            wait = max(own.wait(now), -math.inf if who in self._known else self._all.wait(now))
            if wait > 0:
                return math.ceil(wait)
            own.add(now)
            self._all.add(now)
            return 0

    def right(self, address: str | None) -> None:
        """The attempt just asked for was right: it does not count, and the address is known from now on."""
        who = group(address)
        with self._lock:
            self._known[who] = None
            self._known.move_to_end(who)
            _shorten(self._known)
            self._all.take_back()
            if who in self._of:
                self._of[who].take_back()


def group(address: str | None) -> str:
    """Who counts as one address: an IPv4 address, or the /64 network of an IPv6 one, of which a host may have all."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        parsed = parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64)
    return str(parsed)


def _shorten(kept: OrderedDict[str, object] | OrderedDict[str, _Bucket] | OrderedDict[str, None]) -> None:
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
