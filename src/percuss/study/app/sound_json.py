"""Whether a body is JSON that every later part can take: UTF-8, finite numbers, no name twice in an object, not nested
deep, text without NUL.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from percuss.study.app.problems import Refusal

#: Deepest nesting of objects and lists; the interface itself needs four.
DEEPEST = 16
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def check_json(body: bytes) -> None:
    """Refuse (400) a body that is not such JSON: databases and browsers differ in what they do with it."""
    try:
        value = json.loads(
            body.decode("utf-8"), parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_once
        )
    except (ValueError, RecursionError):
        raise _refused("JSON in UTF-8, with finite numbers, and no name twice in an object") from None
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _refused(f"at most {DEEPEST} levels of nesting")
        for part in level:
            texts = [part] if isinstance(part, str) else list(part) if isinstance(part, dict) else []
            if any(_ODD.search(text) for text in texts):
                raise _refused("text without control characters and lone surrogates")
        level = [inner for part in level for inner in _inside(part)]


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _finite(text: str) -> float:
    """A number; 1e999 is one in JSON, and infinite here."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object; of two values under one name, programs differ in which they take."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError(len(pairs))
    return dict(pairs)


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _refused(allowed: str) -> Refusal:
    step = "send the request as docs/study-api.md describes"
    return Refusal(400, "malformed", "the body of the request cannot be read", allowed=allowed, next_step=step)
