"""Textured pictures and Wilson intervals for the fake run."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from percuss.core.results import Interval

METHOD = "Wilson, 95 %"


def wilson(k: int, n: int) -> Interval:
    if n == 0:
        return Interval(value=None, low=None, high=None, n=0, method=METHOD)
    p, z = k / n, 1.959964
    mid, half = (
        (p + z * z / 2 / n) / (1 + z * z / n),
        z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / (1 + z * z / n),
    )
    return Interval(value=p, low=max(0, mid - half), high=min(1, mid + half), n=n, method=METHOD)


def texture(rng: np.random.Generator, side: int, sixteen: bool) -> np.ndarray:
    """Something with the look of stained cells: blobs of violet on pink; grey 16 bit where asked."""
    layers = []
    for radius in (1, 4, 12):
        noise = Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8)).filter(
            ImageFilter.GaussianBlur(radius)
        )
        values = np.asarray(noise, dtype=float)
        layers.append((values - values.mean()) / (values.std() + 1e-9))
    field = 0.3 * layers[0] + layers[1] + 0.7 * layers[2]
    if sixteen:
        return np.clip(26000 + 9000 * field, 0, 65535).astype(np.uint16)
    dark = 1 / (1 + np.exp(-3 * (field - 0.6)))[..., None]
    colour = (1 - dark) * np.array([228, 176, 205]) + dark * np.array([98, 62, 140]) + 6 * layers[0][..., None]
    return np.clip(colour, 0, 255).astype(np.uint8)
