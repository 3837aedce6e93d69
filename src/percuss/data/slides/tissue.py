"""Which tiles of a slide hold tissue: the colour rule of Strauss and Kenyon, or Otsu's threshold on saturation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from percuss.core.errors import DataError, UsageError
from percuss.data.slides.slide import Pixels
from percuss.data.slides.view import View

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

RULES = ("paper", "otsu")
# Glass has a saturation of 0 to 0.05 on the slides tried. Otsu always splits in two: without a lowest threshold it
# would find tissue on bare glass, and it would halve a slide full of tissue, whose less saturated half is no glass.
_LOWEST, _GLASS = 0.06, 0.10
# Pixels this dark are padding, ink or a fold; their saturation is noise.
_DARK = 25
_BINS = 256
_THUMBNAIL = 1024
# Pixels of the coarse view along a side of a tile.
_FINE = 32


@dataclass(frozen=True)
class Tissue:
    """Which tiles of a grid hold tissue.

    Attributes:
        kept: bool ``[rows, columns]``.
        share: share of tissue pixels of each tile in [0, 1] by Otsu's rule, None by the paper's.
        rule: "paper" or "otsu".
        threshold: saturation above which a pixel is tissue, None by the paper's rule.
        side: side of a tile in pixels of the view.
        stride: pixels of the view from one tile to the next.
    """

    kept: Flags
    share: Floats | None
    rule: str
    threshold: float | None
    side: int
    stride: int


def paper_rule(mean: Floats | Pixels) -> Flags:
    """The rule of Strauss and Kenyon on mean colours ``[..., 3]`` of 0 to 255: bool ``[...]``, True for tissue.

    R - B < 32, R - G > 16 and B - G > 16, all three: pink to purple, neither grey nor red.
    """
    colour = np.asarray(mean, np.float64)
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    kept: Flags = (red - blue < 32) & (red - green > 16) & (blue - green > 16)
    return kept


def paper_tile(pixels: Pixels) -> bool:
    """Whether a tile ``[height, width, 3]`` of 0 to 255 holds tissue by the paper's rule on its mean colour."""
    return bool(paper_rule(np.asarray(pixels).mean((0, 1), dtype=np.float64)))


def saturation(pixels: Pixels) -> Floats:
    """Saturation (largest minus smallest colour, by the largest) of pixels ``[..., 3]``, 0 where nearly black."""
    # Colour by colour: a reduction over an axis of three takes ten times as long.
    red, green, blue = (np.asarray(pixels[..., colour], np.float32) for colour in range(3))
    largest, least = (pick(pick(red, green), blue) for pick in (np.maximum, np.minimum))
    found: Floats = np.where(largest < _DARK, 0, (largest - least) / np.maximum(largest, 1))
    return found


def otsu_threshold(values: Floats) -> float:
    """Threshold in [0, 1] that separates values in [0, 1] best (Otsu 1979, 256 bins); 0 where all are in one bin."""
    counts = np.histogram(values, _BINS, (0, 1))[0].astype(np.float64)
    middles = (np.arange(_BINS) + 0.5) / _BINS
    below = np.cumsum(counts)[:-1] / counts.sum()
    moment = np.cumsum(counts * middles)[:-1] / counts.sum()
    inside = (below > 0) & (below < 1)
    if not inside.any():
        return 0.0
    spread = np.zeros(_BINS - 1)
    total = float((counts * middles).sum() / counts.sum())
    spread[inside] = (total * below - moment)[inside] ** 2 / (below * (1 - below))[inside]
    # Empty bins between two groups all separate them alike: take the middle one.
    best = np.flatnonzero(spread >= spread.max() * (1 - 1e-12))
    return float((best.mean() + 1) / _BINS)


def tissue_threshold(thumbnail: Pixels) -> float:
    """Saturation above which a pixel of a slide is tissue: Otsu's threshold on its thumbnail.

    It is at least 0.06 (glass is below that), and 0.1 where what lies below Otsu's is no glass but tissue too (a mean
    saturation above 0.1).
    """
    found = saturation(thumbnail)
    threshold = otsu_threshold(found)
    below = found[found <= threshold]
    if below.size and below.mean() > _GLASS:
        return _GLASS
    return max(threshold, _LOWEST)


def otsu_share(pixels: Pixels, threshold: float) -> float:
    """Share of tissue pixels of a tile ``[height, width, 3]``, in [0, 1]."""
    return float((saturation(pixels) > threshold).mean())


def thumbnail(view: View, side: int = _THUMBNAIL) -> Pixels:
    """The whole slide, uint8 ``[height, width, 3]``, its longer side at most ``side`` pixels."""
    slide = view.slide
    small = View.at_scale(slide, max(max(slide.height, slide.width) / side, 1.0))
    return small.read(0, 0, small.height, small.width)


def tissue_grid(
    view: View, side: int, *, rule: str = "otsu", share: float = 0.5, stride: int | None = None, whole: bool = True
) -> Tissue:
    """Which tiles of a view hold tissue, from pixels 1/32 of a tile wide: each tile is looked at coarsely, once.

    A band of tiles is held at a time, and a thumbnail of at most 1024 pixels for the threshold.

    Args:
        view: the slide at the resolution of the tiles.
        side: side of a tile in pixels of the view.
        rule: "paper" (mean colour) or "otsu" (share of saturated pixels).
        share: with "otsu", the share of tissue pixels from which a tile is kept, above 0 to 1.
        stride: pixels from one tile to the next; None is ``side``.
        whole: leave out tiles that reach beyond the slide; otherwise they are white there.

    Raises:
        UsageError: an unknown rule, or a side, stride or share that has no meaning.
        DataError: the slide cannot be read.
    """
    step = side if stride is None else stride
    _check(side, step, rule, share)
    threshold = tissue_threshold(thumbnail(view)) if rule == "otsu" else None
    rows, columns = grid_shape((view.height, view.width), side, step, whole=whole)
    kept = np.zeros((rows, columns), bool)
    shares = None if threshold is None else np.zeros((rows, columns), np.float32)
    fine = min(_FINE, side)
    coarse = View.at_scale(view.slide, view.scale * side / fine)
    reach = round((columns - 1) * step * fine / side) + fine
    for row in range(rows):
        band = coarse.read(round(row * step * fine / side), 0, fine, reach) if columns else None
        for column in range(columns):
            assert band is not None
            left = round(column * step * fine / side)
            part = band[:, left : left + fine]
            if threshold is None or shares is None:
                kept[row, column] = paper_tile(part)
            else:
                shares[row, column] = otsu_share(part, threshold)
                kept[row, column] = shares[row, column] >= share
    return Tissue(kept, shares, rule, threshold, side, step)


def grid_shape(size: tuple[int, int], side: int, stride: int, *, whole: bool) -> tuple[int, int]:
    """Rows and columns of tiles of a slide of (height, width), all in the same pixels."""
    if whole:
        return max((size[0] - side) // stride + 1, 0), max((size[1] - side) // stride + 1, 0)
    return -(-max(size[0] - side, 0) // stride) + 1, -(-max(size[1] - side, 0) // stride) + 1


def needed_tissue(tissue: Tissue, slide: object) -> Tissue:
    """The same grid.

    Raises:
        DataError: no tile holds tissue, naming the slide and the rule.
    """
    if not tissue.kept.any():
        size = f"{tissue.kept.size} tiles of {tissue.side} pixels"
        other = RULES[1 - RULES.index(tissue.rule)]
        raise DataError(
            "no tile of the slide holds tissue",
            value=f"{slide}: {size} by the rule {tissue.rule}",
            next_step=f"look at its thumbnail; try the rule {other}, a smaller share of tissue or smaller tiles",
        )
    return tissue


def _check(side: int, stride: int, rule: str, share: float) -> None:
    if rule not in RULES:
        raise UsageError("unknown rule for tissue", value=rule, allowed=", ".join(RULES))
    if side < 1 or stride < 1:
        raise UsageError("tiles need a side and a stride", value=f"{side}, {stride}", allowed="1 pixel or more")
    if not 0 < share <= 1:
        raise UsageError("the share of tissue must be a share", value=share, allowed="above 0 to 1")
