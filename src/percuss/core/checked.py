"""Options by name as a typed record, with errors in the words of the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from percuss.core.errors import UsageError

T = TypeVar("T", bound=BaseModel)
_NEXT = "leave it out for its default, or look it up with --help"
_NEXT_OF_ALL = "change one of them, or look them up with --help"


def checked(kind: type[T], values: Mapping[str, Any], *, word: str = "option") -> T:
    """The values as a record of this kind; UsageError naming the first that cannot be used.

    Where each can be used and all together cannot, none is shown: a study's protocol has what must stay sealed.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if not place:
            thing = f"each {word} can be used by itself, and all of them together cannot"
            raise UsageError(thing, allowed=_told(first["msg"]), next_step=_NEXT_OF_ALL) from None
        raise UsageError(
            f"the {word} {place} cannot be used", value=first.get("input"), allowed=_told(first["msg"]), next_step=_NEXT
        ) from error


def _told(message: str) -> str:
    """What pydantic allows, in fewer words."""
    return message.removeprefix("Input should be ").removeprefix("Value error, ").replace("'", "")
