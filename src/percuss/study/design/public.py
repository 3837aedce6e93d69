"""The protocol as everybody may read it: all but the seed, the cases, and what amendments said of either."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from percuss.study.design.order import OrderRules
from percuss.study.design.protocol import Endpoint, Frozen, in_force
from percuss.study.design.trials import Arm, Task

#: Fields of the protocol that stay with the key.
WITHHELD = frozenset({"seed", "cases"})
_HASH = r"^[0-9a-f]{64}$"


class PublicAmendment(BaseModel):
    """An amendment as in ``protocol.Amendment``; a withheld field has null as its new value."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int = Field(ge=1)
    time: str
    who: str
    reason: str
    changes: dict[str, JsonValue]
    before: str = Field(pattern=_HASH)
    hash: str = Field(pattern=_HASH)


class PublicProtocol(BaseModel):
    """A protocol as it is in force, without what tells an image from another.

    Attributes:
        cases, trials: how many there are; the rest as in ``protocol.Protocol``.
        hash: ``Frozen.hash`` of the whole.
        amendments: every change since.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Literal["1"] = "1"
    title: str
    run: str
    readers: int
    cases: int
    trials: int
    arms: tuple[Arm, ...]
    tasks: tuple[Task, ...]
    copies: int
    rules: OrderRules
    endpoints: tuple[Endpoint, ...]
    labels: tuple[str, ...]
    positive: str
    washout_days: float
    ask_seen: bool
    target: float
    hash: str = Field(pattern=_HASH)
    amendments: tuple[PublicAmendment, ...] = ()


def public_of(frozen: Frozen) -> PublicProtocol:
    """What everybody may know of a frozen protocol; UsageError where its amendments leave none that holds."""
    protocol = in_force(frozen)
    amendments = []
    for amendment in frozen.amendments:
        told = {name: None if name in WITHHELD else value for name, value in amendment.changes.items()}
        amendments.append({**amendment.model_dump(mode="json"), "changes": told})
    values = {
        **protocol.model_dump(mode="json", exclude={"seed", "cases"}),
        "cases": len(protocol.cases),
        "trials": len(protocol.trials()),
        "hash": frozen.hash,
        "amendments": amendments,
    }
    return PublicProtocol.model_validate(values)
