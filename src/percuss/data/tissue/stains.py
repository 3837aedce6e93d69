"""Haematoxylin and eosin as optical densities, and how light becomes colour (Beer-Lambert).

Stain vectors: A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining by color
deconvolution", Analytical and Quantitative Cytology and Histology 23 (2001) 291-299; the values are those
that Ruifrok measured for routine H&E and gave with the ImageJ plug-in of the method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

#: Optical density of red, green and blue per unit of haematoxylin and of eosin, each of length 1.
RUIFROK_JOHNSTON = np.array([[0.644211, 0.716556, 0.266844], [0.092789, 0.954111, 0.283111]])


@dataclass(frozen=True)
class Stain:
    """How one patient's slides are stained and scanned.

    Attributes:
        vectors: optical density per unit of stain, ``[2 (haematoxylin, eosin), 3 (R, G, B)]``, rows of length 1.
        strength: factor on the amount of haematoxylin and of eosin.
        glass: light through empty glass, ``[3]`` in [0, 1].
        blur_um: standard deviation of the optics' blur in micrometres.
        noise: standard deviation of the sensor's noise in grey levels.
    """

    vectors: Floats
    strength: tuple[float, float]
    glass: Floats
    blur_um: float = 0.22
    noise: float = 1.2


def draw_stain(rng: np.random.Generator) -> Stain:
    """A stain as laboratories vary: hue of both dyes, their strength, light and focus."""
    vectors = RUIFROK_JOHNSTON + rng.normal(0, [[0.035], [0.03]], (2, 3))
    vectors = np.maximum(vectors, 0.02)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    haematoxylin, eosin = np.exp(rng.normal(0, [0.14, 0.18]))
    glass = np.clip(rng.normal(0.945, 0.012) + rng.normal(0, 0.006, 3), 0.88, 0.985)
    return Stain(vectors, (float(haematoxylin), float(eosin)), glass, float(rng.uniform(0.15, 0.32)))


def colour(haematoxylin: Floats, eosin: Floats, stain: Stain) -> Floats:
    """Light through the section, ``[3, height, width]`` in [0, 1], from amounts ``[height, width]``."""
    amounts = np.stack([haematoxylin * stain.strength[0], eosin * stain.strength[1]]).astype(np.float32)
    density = np.tensordot(stain.vectors.T.astype(np.float32), amounts, 1)
    light: Floats = stain.glass.astype(np.float32)[:, None, None] * np.exp(density * np.float32(-np.log(10)))
    return light


def unmix(pixels: np.ndarray[Any, Any], stain: Stain | None = None) -> Floats:
    """Amounts of haematoxylin and eosin, ``[2, height, width]``, from 8-bit ``[3, height, width]``.

    Without a stain the published vectors and white glass are taken.
    """
    glass = np.ones(3) if stain is None else stain.glass
    vectors = RUIFROK_JOHNSTON if stain is None else stain.vectors * np.array(stain.strength)[:, None]
    light = np.maximum(pixels.astype(np.float64), 1) / 255
    density = -np.log10(light / glass[:, None, None])
    amounts: Floats = np.tensordot(np.linalg.pinv(vectors).T, density, 1)
    return amounts
