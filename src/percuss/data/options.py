"""Options behind a data spec: known names only, and values of the right kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from percuss.core.errors import DataError, nearest

_NEXT = "mend what follows ? in the data spec; the page of this kind of data in docs/datasets lists its options"


def check_names(given: Mapping[str, str], known: Iterable[str], scheme: str) -> None:
    """DataError with the nearest names where an option is not one of ``known``."""
    allowed = list(known)
    for name in given:
        if name not in allowed:
            raise DataError(f"unknown option of {scheme}", value=name, allowed=nearest(name, allowed), next_step=_NEXT)


def whole(given: Mapping[str, str], name: str, *, low: int, high: int) -> int | None:
    """A whole number between ``low`` and ``high``; None where the option is absent."""
    if name not in given:
        return None
    try:
        value = int(given[name])
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise DataError(
            f"the option {name} must be a whole number",
            value=given[name],
            allowed=f"{low} to {high}",
            next_step=_NEXT,
        )
    return value


def share(given: Mapping[str, str], name: str) -> float | None:
    """A number above 0 and below 1; None where the option is absent."""
    if name not in given:
        return None
    try:
        value = float(given[name])
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise DataError(
            f"the option {name} must be a share",
            value=given[name],
            allowed="above 0 and below 1, as 0.1",
            next_step=_NEXT,
        )
    return value


def choice(given: Mapping[str, str], name: str, allowed: Iterable[str]) -> str | None:
    """One of ``allowed``; None where the option is absent."""
    options = list(allowed)
    if name not in given or given[name] in options:
        return given.get(name)
    raise DataError(
        f"the option {name} has an unknown value", value=given[name], allowed=", ".join(options), next_step=_NEXT
    )


def spec_text(scheme: str, location: str, options: Mapping[str, str]) -> str:
    """The spec as text, options in sorted order."""
    tail = "&".join(f"{name}={value}" for name, value in sorted(options.items()))
    return f"{scheme}:{location}" + (f"?{tail}" if tail else "")
