"""Options behind the name of a network: NAME?key=value&key=value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from percuss.core.errors import ModelError, nearest


def divided(text: str, known: Mapping[str, Iterable[str]], *, library: str = "percuss") -> tuple[str, dict[str, str]]:
    """Name and options; ``known`` says which options each name of the library has.

    Raises:
        ModelError: an unknown name or option, or one without or with two values.
    """
    name, _, tail = text.partition("?")
    if name not in known:
        raise ModelError(f"{library} has no such network", value=name, allowed=nearest(name, known))
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


def whole(given: Mapping[str, str], name: str, *, otherwise: int, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``, or ``otherwise`` where the option is absent."""
    text = given.get(name, str(otherwise))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ModelError(f"the option {name} is out of its range", value=text, allowed=f"{least} to {most}, whole")
    return int(text)


def typed(text: str) -> Any:
    """The value that a text stands for: JSON where it is JSON (``3``, ``true``, ``null``, ``["group", 4]``), a list
    where it is JSON with commas (``16,32``), else the text itself.
    """
    for form in (text, f"[{text}]"):
        try:
            found: Any = json.loads(form, parse_constant=_refused)
        except ValueError:
            continue
        return found
    return text


def _refused(name: str) -> None:
    raise ValueError(name)
