"""The errors Percuss raises: each names the thing, the value, what was allowed and the next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PercussError(Exception):
    """Base of every error that Percuss raises on purpose.

    Args:
        thing: what is wrong, as a short sentence without a full stop ("the image cannot be read").
        value: the offending value, shown as given.
        allowed: what would have been accepted.
        next_step: what the user can do now, often a command.
    """

    def __init__(self, thing: str, *, value: object = None, allowed: str = "", next_step: str = "") -> None:
        self.thing, self.value, self.allowed, self.next_step = thing, value, allowed, next_step
        text = thing if value is None else f"{thing}: {value}"
        if allowed:
            text += f". Allowed: {allowed}"
        if next_step:
            text += f". Next: {next_step}"
        super().__init__(text if text.endswith((".", "?", "!")) else text + ".")


class DataError(PercussError):
    """Images, labels or splits cannot be used as given."""


class ModelError(PercussError):
    """The model cannot be loaded, or does not behave as its task demands."""


class NoGradientError(ModelError):
    """No gradient reaches the input on any of the images asked about."""


class NetworkError(ModelError, RuntimeError):
    """The network itself raised an error on images; a RuntimeError too, for code that tries out sizes."""


class BudgetError(PercussError):
    """A budget text, norm or size that has no meaning."""


class AttackError(PercussError):
    """An attack returned what it must not, or got a setting it does not know."""


class RunError(PercussError):
    """The run folder cannot be used: another plan's, unwritable, damaged, or the disk is full."""


class UsageError(PercussError):
    """A command or function was called with an option that cannot be honoured."""


def nearest(name: str, options: Iterable[str]) -> str:
    """The known names, nearest first, as text for an error's ``allowed`` (at most six)."""
    known = sorted(set(options))
    close = difflib.get_close_matches(name, known, n=6, cutoff=0.3)
    return ", ".join(close or known[:12]) + ("" if close or len(known) <= 12 else ", ...")
