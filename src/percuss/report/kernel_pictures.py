"""Codes as pixels: one map of a code, one image, a difference, and how many kernels stand in a row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from percuss.report.heat import heat_pixels

Array = NDArray[Any]


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
