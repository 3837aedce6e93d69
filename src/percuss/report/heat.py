"""Maps of importance as pictures: a scale that the colour-blind can read, alone or over the image."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from percuss.report.sections import as_source

#: Dark to bright, lightness rising all the way, so that it reads in grey too.
SCALE = np.array(
    [(0, 0, 8), (50, 12, 92), (128, 36, 110), (198, 62, 76), (242, 126, 30), (252, 200, 60), (252, 255, 180)], float
)
Array = NDArray[Any]


def coloured(values: Array) -> Array:
    """Colours (0 to 255, float) of values in [0, 1], ``[..., 3]``."""
    place = np.clip(values, 0, 1) * (len(SCALE) - 1)
    low = np.minimum(place.astype(int), len(SCALE) - 2)
    part = (place - low)[..., None]
    found: Array = SCALE[low] * (1 - part) + SCALE[low + 1] * part
    return found


def heat(values: Array, *, peak: float) -> str:
    """A map ``[H, W]`` as a PNG's data address; ``peak`` is drawn brightest, what lies above it too."""
    return _source(heat_pixels(values, peak=peak))


def heat_pixels(values: Array, *, peak: float) -> Array:
    """The same as 8-bit pixels ``[H, W, 3]``."""
    return _eight(coloured(values / peak if peak > 0 else np.zeros_like(values)))


def overlay(image: Array, values: Array, *, peak: float) -> str:
    """A map ``[H, W]`` over an image ``[C, H, W]`` in [0, 1] drawn in grey: the more important, the more colour."""
    return _source(overlay_pixels(image, values, peak=peak))


def overlay_pixels(image: Array, values: Array, *, peak: float) -> Array:
    """The same as 8-bit pixels ``[H, W, 3]``."""
    grey = np.repeat(image.mean(0)[..., None] * 255, 3, axis=2)
    part = np.clip(values / peak, 0, 1) if peak > 0 else np.zeros_like(values)
    weight = 0.75 * part[..., None]
    return _eight(grey * (1 - weight) + coloured(0.3 + 0.4 * part) * weight)


def plain(image: Array) -> str:
    """An image ``[C, H, W]`` in [0, 1], grey or colour, 8 bits for the browser."""
    return _source(_eight((image if len(image) == 3 else np.repeat(image[:1], 3, axis=0)).transpose(1, 2, 0) * 255))


def _eight(pixels: Array) -> Array:
    found: Array = np.round(np.clip(pixels, 0, 255)).astype(np.uint8)
    return found


def _source(pixels: Array) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    return as_source(file.getvalue())
