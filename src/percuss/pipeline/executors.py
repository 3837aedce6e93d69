"""How the units of a run are worked off. One contract: every unit once, in any order, an error stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def serial(units: Iterable[T], work: Callable[[T], None]) -> None:
    """One unit after the other, in this process."""
    for unit in units:
        work(unit)
