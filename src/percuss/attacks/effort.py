"""How hard a search tries before it calls an image unflipped."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.errors import AttackError, nearest


@dataclass(frozen=True)
class Effort:
    """How hard to try before an image is closed.

    Under linf and l2 an attack may be given up or go on: by the rise of the margin over the last steps it is known
    about how many more steps it needs (``Slots.needed``). Far more than it has: almost none of those gets through.
    Some: more steps get a part of them through. Under the other norms steps have no length, and margins swing.

    Attributes:
        steps: gradient steps of an attack.
        tries: attacks that must fail at a size; the second and later ones start at random.
        top: attacks more at the largest size, where nothing above has failed yet.
        reach: way of all steps over the size, under linf and l2.
        trial: steps after which an attack may be given up.
        hope: the most steps that an attack may still need; one that needs more is given up. At the largest size one
            that needs far more is not repeated.
        further: steps more for an attack that is within hope at its end.
        again: attacks more, from random starts, on an image that a failed one has brought nearly over.
        nearly: how near that is: the share of the clean image's margin that is left.
    """

    steps: int = 10
    tries: int = 1
    top: int = 1
    reach: float = 2.5
    trial: int = 5
    hope: float = 25.0
    further: int = 20
    again: int = 1
    nearly: float = 0.03


EFFORTS = {
    "quick": Effort(top=0, further=0, again=0),
    "standard": Effort(),
    "thorough": Effort(tries=2, top=2),
}


def effort_of(name: str) -> Effort:
    """An effort by name; AttackError with the names where unknown."""
    if name not in EFFORTS:
        raise AttackError("unknown effort", value=name, allowed=nearest(name, EFFORTS))
    return EFFORTS[name]
