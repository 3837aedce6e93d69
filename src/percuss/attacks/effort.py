"""How hard a search tries before it calls an image unflipped."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.errors import AttackError, nearest


@dataclass(frozen=True)
class Effort:
    """How hard to try before an image is closed.

    Attributes:
        steps: gradient steps of an attack.
        tries: attacks that must fail at a size; the second and later ones start at random.
        top: attacks more at the largest size, where nothing above has failed yet.
        reach: way of all steps over the size, under linf and l2.
    """

    steps: int = 10
    tries: int = 1
    top: int = 1
    reach: float = 2.5


EFFORTS = {"quick": Effort(top=0), "standard": Effort(), "thorough": Effort(tries=2, top=2)}


def effort_of(name: str) -> Effort:
    """An effort by name; AttackError with the names where unknown."""
    if name not in EFFORTS:
        raise AttackError("unknown effort", value=name, allowed=nearest(name, EFFORTS))
    return EFFORTS[name]
