"""One text for one value, so that a hash can stand for it."""

from __future__ import annotations

import hashlib
import json

from percuss.core.errors import UsageError


def canonical(value: object) -> str:
    """JSON on one line: keys sorted by code point, no spaces, Unicode as it is, numbers as Python prints them.

    As RFC 8785 does, but for the form of floats and the order of keys beyond the Basic Multilingual Plane. UsageError
    for NaN, infinity, lone surrogates and what JSON has no form for.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise UsageError(
            "a value has no form in JSON",
            value=error,
            allowed="texts, finite numbers, true, false, null, and lists and tables of them with texts as keys",
            next_step="write the value as a text",
        ) from error
    return text


def digest(value: object) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON in UTF-8; UsageError as ``canonical``."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
