"""Options behind the spec of one of our own networks: NAME?key=value&key=value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from percuss.core.errors import ModelError, nearest


def divided(text: str, known: Mapping[str, Iterable[str]]) -> tuple[str, dict[str, str]]:
    """Name and options; ``known`` says which options each name has.

    Raises:
        ModelError: an unknown name or option, or one without or with two values.
    """
    name, _, tail = text.partition("?")
    if name not in known:
        raise ModelError("percuss has no such network", value=name, allowed=nearest(name, known))
    given: dict[str, str] = {}
    for pair in filter(None, tail.split("&")):
        key, equals, value = pair.partition("=")
        if key not in known[name]:
            raise ModelError(f"unknown option of {name}", value=key, allowed=nearest(key, known[name]))
        if not equals or not value or key in given:
            raise ModelError("an option of the model has no single value", value=pair, allowed="key=value, once each")
        given[key] = value
    return name, given


def chosen(given: Mapping[str, str], name: str, allowed: Iterable[str], *, otherwise: str) -> str:
    """One of ``allowed``, or ``otherwise`` where the option is absent."""
    options, value = list(allowed), given.get(name, otherwise)
    if value not in options:
        raise ModelError(f"the option {name} has an unknown value", value=value, allowed=", ".join(options))
    return value


def number(given: Mapping[str, str], name: str, *, otherwise: float) -> float:
    """A number from 0 to 1e6, or ``otherwise`` where the option is absent."""
    try:
        value = float(given.get(name, otherwise))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise ModelError(f"the option {name} must be a number", value=given[name], allowed="0 to 1e6")
    return value
