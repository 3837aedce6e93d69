"""The server's clock: every time of a study is one of its texts."""

from __future__ import annotations

from datetime import datetime, timedelta

from percuss.core.errors import UsageError

#: Days beyond which a wait counts as this long: later dates have no form.
MOST_DAYS = 36_500.0


def moment(now: datetime | None = None) -> datetime:
    """``now``, or the server's time where it is None; UsageError for a time without a zone."""
    if now is None:
        return datetime.now().astimezone()
    if now.utcoffset() is None:
        raise UsageError("a time without a zone", value=now, allowed="a time with its zone", next_step="give tzinfo")
    return now


def stamp(time: datetime) -> str:
    """A time with its zone as ISO 8601 to the microsecond."""
    return time.isoformat(timespec="microseconds")


def days_after(stamped: str, days: float) -> datetime:
    """The moment so many days of 24 hours after a time that ``stamp`` wrote."""
    return datetime.fromisoformat(stamped) + timedelta(days=min(days, MOST_DAYS))
