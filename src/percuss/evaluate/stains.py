"""Stain amounts from colours: optical density unmixed by the vectors of haematoxylin, eosin and DAB.

A. C. Ruifrok, D. A. Johnston: Quantification of histochemical staining by color deconvolution. Analytical and
Quantitative Cytology and Histology 23 (2001) 291-299.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from percuss.core.errors import DataError

Floats = NDArray[np.float64]

#: Optical density of red, green and blue for one amount of haematoxylin, eosin and DAB (Ruifrok & Johnston 2001, table
#: of vectors for the three stains).
VECTORS: Floats = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
#: Darkest value told from black: one level of 8 bits, so that the density of a black pixel is finite.
_DARKEST = 1 / 255


def density(images: np.ndarray[Any, Any]) -> Floats:
    """Optical density of images in [0, 1] by the law of Beer and Lambert, ``-log10``; 0 for white."""
    return np.asarray(-np.log10(np.clip(np.asarray(images, dtype=np.float64), _DARKEST, 1.0)))


def stains(image: np.ndarray[Any, Any]) -> Floats:
    """Amounts of haematoxylin, eosin and DAB at each pixel, ``[3, H, W]``.

    Args:
        image: red, green and blue in [0, 1], ``[3, H, W]``.

    Raises:
        DataError: not three channels.
    """
    if image.ndim != 3 or len(image) != 3:
        raise DataError(
            "stains are told apart in colour images only", value=f"shape {image.shape}", allowed="[3, height, width]"
        )
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    # A density is a sum of amounts times vectors: d = a @ unit.
    return np.asarray(np.einsum("cs,chw->shw", np.linalg.inv(unit), density(image)), dtype=np.float64)


def haematoxylin(image: np.ndarray[Any, Any]) -> Floats:
    """Amount of haematoxylin at each pixel ``[H, W]``; arguments and errors of ``stains``."""
    return np.asarray(stains(image)[0])


def otsu(values: np.ndarray[Any, Any], bins: int = 256) -> float | None:
    """The threshold that divides values best in two (largest variance between), None where all are equal.

    N. Otsu: A threshold selection method from gray-level histograms. IEEE Transactions on Systems, Man, and Cybernetics
    9 (1979) 62-66.
    """
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9:
        return None
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    middle, weight = (edges[1:] + edges[:-1]) / 2, counts / counts.sum()
    below, first = weight.cumsum(), (weight * middle).cumsum()
    room = below * (1 - below)
    spread = np.divide((first[-1] * below - first) ** 2, room, out=np.zeros_like(room), where=room > 1e-12)
    # Between two well divided groups the spread is level: the middle of that level, not its first bin.
    best = np.flatnonzero(spread >= spread.max() * (1 - 1e-12))
    return float(edges[1:][best].mean())


def nuclei(image: np.ndarray[Any, Any]) -> NDArray[np.bool_]:
    """Where much haematoxylin is, by Otsu's threshold on its amount, bool ``[H, W]``; nowhere where all is alike."""
    amount = haematoxylin(image)
    bar = otsu(amount)
    return np.zeros(amount.shape, dtype=bool) if bar is None else amount > bar
