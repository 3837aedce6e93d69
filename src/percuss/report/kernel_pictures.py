"""Kernels and codes as pixels: a sheet of kernels, one map of a code, one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from percuss.report.heat import heat_pixels

Array = NDArray[Any]
#: Brightness of the gaps between kernels.
_GAP = 255


def kernel_sheet(kernels: Array, *, columns: int, zoom: int = 1) -> Array:
    """Kernels in rows as 8-bit pixels ``[H, W, 3]``, white between them: one pixel, two where they are enlarged.

    Each is stretched by itself about mid-grey, which is 0: its largest value, up or down, is white or black, so that
    faint kernels show too and sizes cannot be compared.

    Args:
        kernels: ``[M, C, h, w]`` in the order in which they are drawn; one or three channels.
        columns: kernels in a row.
        zoom: pixels of the picture for each of a kernel.
    """
    count, channels, high, wide = kernels.shape
    rows, high, wide, gap = math.ceil(count / columns), high * zoom, wide * zoom, 2 if zoom > 1 else 1
    made = np.full((rows * (high + gap) + gap, columns * (wide + gap) + gap, 3), _GAP, dtype=np.uint8)
    for place, kernel in enumerate(kernels):
        top, left = (place // columns) * (high + gap) + gap, (place % columns) * (wide + gap) + gap
        peak = float(np.abs(kernel).max()) or 1.0
        values = np.repeat(kernel, 3, axis=0) if channels == 1 else kernel[:3]
        pixels = np.round(127.5 + 127.5 * np.moveaxis(values, 0, 2) / peak)
        pixels = np.clip(pixels, 0, 255).astype(np.uint8).repeat(zoom, axis=0).repeat(zoom, axis=1)
        made[top : top + high, left : left + wide] = pixels
    return made


def columns_for(count: int, side: int, *, width: int = 1000) -> int:
    """Kernels in a row so that a sheet is about twice as wide as high and no wider than ``width`` pixels."""
    return max(1, min(count, math.ceil(math.sqrt(2 * count)), width // (side + 2)))


def place_map(values: Array) -> Array:
    """A map of a code ``[h, w]``, at least 0, as pixels ``[h, w, 3]``: dark is 0, bright its 99.5th percentile."""
    used = values[values > 0]
    return heat_pixels(values, peak=float(np.quantile(used, 0.995)) if used.size else 1.0)


def plain_image(image: Array) -> Array:
    """An image ``[C, H, W]`` in [0, 1], cut to it, as pixels ``[H, W, 3]``."""
    shown = np.repeat(image[:1], 3, axis=0) if len(image) != 3 else image
    found: Array = np.round(255 * np.clip(np.moveaxis(shown, 0, 2), 0, 1)).astype(np.uint8)
    return found


def signed_image(change: Array, *, peak: float) -> Array:
    """A difference ``[C, H, W]`` about mid-grey as pixels ``[H, W, 3]``; ``peak`` is white, less ``peak`` black."""
    return plain_image(0.5 + 0.5 * change / (peak or 1.0))


def ranked(use: Sequence[float]) -> list[int]:
    """Places of the kernels, the most used first, those of equal use as they stand."""
    return sorted(range(len(use)), key=lambda place: -use[place])
