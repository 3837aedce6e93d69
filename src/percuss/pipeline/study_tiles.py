"""Large cases in tiles, so that a browser loads what it shows: full resolution, and below it half and half again."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from percuss.core.images import PixelRange
from percuss.data.decode import Reading, decode
from percuss.store.png import encode
from percuss.study.pictures import Picture, even

#: Cases with a longer side than this are cut into tiles of so many pixels.
LARGE, SIDE = 2048, 512
Levels = NDArray[np.int64]


def picture_of(png: bytes, pixels: PixelRange) -> Picture:
    """What readers are sent of a file: the file itself, or of a large one its tiles, all of one length.

    Lengths depend on size and depth alone, which all cases of a study share, so they are one over all pictures.
    """
    return even(tiles_of(png, pixels)) if max(_values(png).shape[1:]) > LARGE else png


def tiles_of(png: bytes, pixels: PixelRange, *, side: int = SIDE) -> dict[str, bytes]:
    """The tiles of a picture by their place, ``LEVEL/X_Y.png``; the last level holds the very pixels of the picture.

    Each level below is half as wide and high, rounded up, its values means of up to four rounded to native levels; one
    tile holds all of level 0. Tiles at the right and lower edge are as large as what is left.
    """
    levels = [_values(png)]
    while max(levels[0].shape[1:]) > side:
        levels.insert(0, halved(levels[0]))
    found = {}
    for number, values in enumerate(levels):
        for top in range(0, values.shape[1], side):
            for left in range(0, values.shape[2], side):
                part = torch.from_numpy(values[:, top : top + side, left : left + side] / pixels.levels)
                found[f"{number}/{left // side}_{top // side}.png"] = encode(part, pixels, packed=False)
    return found


def halved(values: Levels) -> Levels:
    """Means of 2 x 2 values ``[C, H, W]``, of fewer at an odd edge, halves rounded up."""
    channels, high, wide = values.shape
    padded = np.pad(values, ((0, 0), (0, high % 2), (0, wide % 2)), mode="edge")
    blocks = padded.reshape(channels, -(-high // 2), 2, -(-wide // 2), 2)
    found: Levels = (blocks.sum((2, 4)) + 2) // 4
    return found


def _values(png: bytes) -> Levels:
    return np.asarray(decode(png, "a picture of the study", Reading())[0]).astype(np.int64)
