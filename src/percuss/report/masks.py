"""Class maps as pictures: outlines and tints over the image in grey, and what an attack did to the decisions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from percuss.core.dense import IGNORE

Pixels = np.ndarray[Any, np.dtype[Any]]
#: Colours of classes 1, 2, ... over grey: the set of M. Okabe and K. Ito for colour-blind readers, in the order in
#: which the charts use their darker relatives.
COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9", "#0072b2")
#: The same in words, for captions.
_WORDS = ("orange", "green", "pink", "yellow", "light blue", "blue")
#: What became of a pixel, and its colour in the picture of the difference.
FATES = (
    ("removed: some class before, background after", "#d55e00"),
    ("hallucinated: background before, some class after", "#56b4e9"),
    ("another class than before", "#f0e442"),
)
_TINT = 0.45


def legend(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Names and colours (``#rrggbb``) of all classes but the background; from the seventh on they repeat."""
    return [(name, COLOURS[index % len(COLOURS)]) for index, name in enumerate(classes[1:])]


def colour_words(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Names of all classes but the background, and the words for their colours."""
    return [(name, _WORDS[index % len(_WORDS)]) for index, name in enumerate(classes[1:])]


def grey(pixels: Pixels, levels: int) -> Pixels:
    """A picture ``[H, W]`` or ``[H, W, channels]`` as brightness from 0 to 1, float64 ``[H, W]``."""
    top = 255 if pixels.dtype == np.uint8 else max(levels, int(pixels.max()), 1)
    values = pixels.astype(np.float64) / top
    return values if values.ndim == 2 else values[..., :3].mean(-1)


def overlay(picture: Pixels, classes: Pixels) -> bytes:
    """PNG of a class map ``[H, W]`` over a picture in grey ``[H, W]`` (0 to 1): tints, and outlines one pixel wide.

    Pixels without a judgement are dark.
    """
    base = _base(picture)
    inside = (classes != 0) & (classes != IGNORE)
    painted = _colours(COLOURS)[(classes.astype(int) - 1) % len(COLOURS)]
    found = np.where(inside[..., None], (1 - _TINT) * base + _TINT * painted, base)
    found[inside & edges(classes)] = painted[inside & edges(classes)]
    found[classes == IGNORE] *= 0.35
    return _png(found)


def fate(picture: Pixels, before: Pixels, after: Pixels) -> bytes:
    """PNG of where two decisions differ, over a picture in grey, in the colours of ``FATES``."""
    base = _base(picture)
    state = fates(before, after)
    painted = _colours([colour for _, colour in FATES])[np.maximum(state - 1, 0)]
    return _png(np.where((state > 0)[..., None], 0.2 * base + 0.8 * painted, base))


def fates(before: Pixels, after: Pixels) -> Pixels:
    """For each pixel 0 where two decisions agree, else 1, 2 or 3 in the order of ``FATES``."""
    changed = before != after
    found: Pixels = np.select([changed & (after == 0), changed & (before == 0), changed], [1, 2, 3], 0)
    return found


def edges(classes: Pixels) -> Pixels:
    """Pixels with a neighbour of another class above, below, left or right, or at the rim of the picture."""
    padded = np.pad(classes.astype(int), 1, constant_values=-1)
    inner = padded[1:-1, 1:-1]
    others = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    found: Pixels = np.logical_or.reduce([other != inner for other in others])
    return found


def shares(classes: Pixels, names: Sequence[str]) -> str:
    """The judged pixels of each class but the background in words, for those who cannot see a picture."""
    judged = classes[classes != IGNORE]
    counts = np.bincount(judged.ravel(), minlength=len(names))[1:] / max(judged.size, 1)
    said = [f"{name} {100 * part:.1f} %" for name, part in zip(names[1:], counts, strict=False) if part]
    return ", ".join(said) or f"{names[0]} only"


def _base(picture: Pixels) -> Pixels:
    """Grey values from 40 to 235 in few steps: colours stay visible on black and white, and files stay small."""
    steps = np.round(np.clip(picture, 0, 1) * 24) / 24
    return np.repeat((40 + 195 * steps)[..., None], 3, axis=-1)


def _colours(names: Sequence[str]) -> Pixels:
    return np.array([[int(name[place : place + 2], 16) for place in (1, 3, 5)] for name in names], dtype=np.float64)


def _png(values: Pixels) -> bytes:
    """PNG with a palette, exact: at most 25 greys, each tinted by six colours and darkened, and the outlines."""
    pixels = np.clip(np.round(values), 0, 255).astype(np.uint8)
    palette, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    image = Image.fromarray(pixels)
    if len(palette) <= 256:
        image = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8))
        image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
