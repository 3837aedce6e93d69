"""The size of each arm in its norm's own measure, from the text that the protocol has."""

from __future__ import annotations

from collections.abc import Sequence

from percuss.core.budget import parse_budget
from percuss.core.errors import PercussError
from percuss.core.images import PixelRange
from percuss.study.design.protocol import Protocol


def sizes_of(
    protocol: Protocol, *, shape: Sequence[int] | None = None, pixels: PixelRange | None = None
) -> dict[str, tuple[str, float]]:
    """Norm and eps by name of arm; arms without a size, or whose size depends on what is not given, are left out.

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
            found[arm.name] = (budget.norm.value, budget.eps(shape or (), pixels))
        except PercussError:
            # A native unit without its range.
            continue
    return found
