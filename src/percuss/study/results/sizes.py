"""The size of each arm in its norm's own measure, from the text that the protocol has."""

from __future__ import annotations

import math
from collections.abc import Sequence

from percuss.core.budget import parse_budget
from percuss.core.errors import PercussError
from percuss.core.images import PixelRange
from percuss.study.design.protocol import Protocol
from percuss.study.design.trials import PAIRS


def sizes_of(
    protocol: Protocol, *, shape: Sequence[int] | None = None, pixels: PixelRange | None = None
) -> dict[str, tuple[str, float]]:
    """Norm and eps by name of arm; arms without a size, or whose size depends on what is not given, are left out.

    Changes without limit are left out too: they have no place on an axis of sizes.

    Args:
        protocol: with the arms.
        shape: channels, height, width of the images, for sizes given as ``rms:`` or ``mad:``.
        pixels: their native range, for sizes in grey levels or HU.
    """
    found = {}
    for arm in protocol.arms:
        if not arm.size:
            continue
        budget = parse_budget(arm.size)
        if budget.unit in ("rms", "mad") and shape is None:
            continue
        try:
            eps = budget.eps(shape or (), pixels)
        except PercussError:
            # A native unit without its range.
            continue
        if math.isfinite(eps):
            found[arm.name] = (budget.norm.value, eps)
    return found


def unplaced(protocol: Protocol, sizes: dict[str, tuple[str, float]]) -> tuple[str, ...]:
    """Arms of pairs whose size could not be had (``sizes_of``): no curve has them, and no threshold rests on them.

    Changes that everybody sees are no part of a curve in any case.
    """
    paired = {trial.arm for trial in protocol.trials() if trial.task in PAIRS}
    kinds = ("adversarial", "noise")
    return tuple(
        arm.name for arm in protocol.arms if arm.kind in kinds and arm.name in paired and arm.name not in sizes
    )
