"""The positive control of a study: a square frame that everybody sees."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import UsageError
from percuss.core.images import PixelRange
from percuss.core.seeds import ImageRandom

#: Smallest and largest change of a mark, shares of the whole range: seen by everybody, and room for it everywhere.
LEAST, MOST = 32 / 255, 128 / 255


def mark_size(text: str, pixels: PixelRange) -> float:
    """The change of a mark in [0, 1] units; UsageError where not everybody would see it, or it has no room."""
    budget = parse_budget(text)
    size = budget.eps((1, 1, 1), pixels) if budget.norm is Norm.LINF else 0.0
    if not LEAST <= size <= MOST:
        raise UsageError(
            "the visible control cannot have this size",
            value=text,
            allowed="linf=32/255 to linf=128/255",
            next_step="give linf=64/255",
        )
    return size


def marked(images: Tensor, ids: list[str], size: float, *, seed: int) -> Tensor:
    """Images ``[N, C, H, W]`` in [0, 1] with a square frame, a third of the shorter side wide, at a random place.

    Every value on the frame moves by ``size``: bright ones down, dark ones up, so that it fits everywhere and the
    frame is as strong on any ground. The line is 1/32 of the shorter side thick, at least 2 pixels.

    Args:
        images, ids: in the same order; the place depends on seed and id alone.
        size: from ``mark_size``.
        seed: the study's.
    """
    high, wide = images.shape[2:]
    short = min(high, wide)
    side, line = max(2, short // 3), max(2, short // 32)
    draws = ImageRandom(seed, ids, "study mark").uniform((2,))
    result = images.clone()
    for row, (down, right) in enumerate(draws.tolist()):
        top, left = int(down * (high - side + 1)), int(right * (wide - side + 1))
        frame = torch.zeros(high, wide, dtype=torch.bool)
        frame[top : top + side, left : left + side] = True
        frame[top + line : top + side - line, left + line : left + side - line] = False
        step = torch.where(images[row] >= 0.5, -size, size)
        result[row] = torch.where(frame, images[row] + step, images[row])
    return result
