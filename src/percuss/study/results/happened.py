"""What happened in a study beside its answers, without any name: what deviations are told from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Person:
    """One enrolled reader.

    Attributes:
        name: R1 was enrolled first.
        total: places in their order.
        revoked: when their access ended, ISO 8601; None where it did not. why: the reason given.
        display: what they said of their screen last; empty where they said nothing.
        order: numbers of places in the order in which first answers came.
    """

    name: str
    total: int
    revoked: str | None = None
    why: str = ""
    display: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[int, ...] = ()

    @property
    def answered(self) -> int:
        """Places with an answer."""
        return len(self.order)

    @property
    def finished(self) -> bool:
        """Every place has its answer."""
        return self.answered == self.total > 0


@dataclass(frozen=True)
class Override:
    """A session that somebody opened before its wash-out was over."""

    reader: str
    session: int
    reason: str
    time: str


@dataclass(frozen=True)
class Correction:
    """An answer that was given again, with its reason."""

    reader: str
    number: int
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    reason: str
    time: str


@dataclass(frozen=True)
class Happened:
    """All of it.

    Attributes:
        people: every enrolled reader, with answers or without, in the order of enrolment.
        overrides, corrections: in the order of time.
        faults: what verification found, in words; empty where the study is as it was written.
        closed: when, ISO 8601; reason: why it was closed.
    """

    people: tuple[Person, ...] = ()
    overrides: tuple[Override, ...] = ()
    corrections: tuple[Correction, ...] = ()
    faults: tuple[str, ...] = ()
    closed: str = ""
    reason: str = ""
