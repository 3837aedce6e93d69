"""A slide seen at one resolution in micrometres per pixel, whatever levels it has."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from percuss.core.errors import DataError
from percuss.data.slides.resolution import needed_mpp
from percuss.data.slides.slide import Pixels, Slide

_SAME = 0.03
# Level pixels read at once when many of them make one pixel of the view.
_AT_ONCE = 2**22


class View:
    """A slide at a resolution; rows, columns and sizes are pixels of that resolution.

    Within 3 % of a level that level is taken as it is, and the view's ``mpp`` is then the level's. Otherwise the
    coarsest level that is finer is brought down with an antialiasing (Hamming) filter; a rectangle read alone equals
    the same rectangle of a larger one to within a grey value.

    Attributes:
        slide: the open slide.
        mpp: micrometres per pixel of the view, None for a view by scale of a slide without resolution.
        scale: pixels of level 0 along a side of one pixel of the view.
        level: the level that is read.
        resampled: whether pixels are computed rather than taken.
        height: rows of the view; a last part of a pixel is left out.
        width: columns of the view.
    """

    def __init__(self, slide: Slide, mpp: float) -> None:
        """View at ``mpp`` micrometres per pixel.

        Raises:
            DataError: the slide has no resolution, mpp is no resolution, or the slide has no pixels as fine.
        """
        own = needed_mpp(slide)
        if not (math.isfinite(mpp) and mpp > 0):
            raise DataError("the resolution of a view must be micrometres per pixel", value=mpp, allowed="above 0")
        if mpp < own * (1 - _SAME):
            raise DataError(
                "the slide has no pixels as fine as asked",
                value=f"{slide.path}: {mpp:g} um per pixel asked",
                allowed=f"{own:g} or more",
                next_step="ask for a coarser resolution",
            )
        self._place(slide, mpp / own, same=_SAME)

    @classmethod
    def at_scale(cls, slide: Slide, scale: float) -> View:
        """View in which one pixel covers ``scale`` (1 or more) pixels of level 0; needs no resolution.

        Unlike a view by resolution it keeps to its scale: a level is taken as it is where it has that very scale.
        """
        if not (math.isfinite(scale) and scale >= 1):
            raise DataError("the scale of a view must be pixels of level 0", value=scale, allowed="1 or more")
        view = cls.__new__(cls)
        view._place(slide, scale, same=1e-6)
        return view

    def _place(self, slide: Slide, scale: float, *, same: float) -> None:
        downs = [level.downsample for level in slide.levels]
        near = [n for n, down in enumerate(downs) if abs(scale - down) <= same * down]
        finer = [n for n, down in enumerate(downs) if down <= scale]
        self.slide = slide
        self.resampled = not near
        self.level = min(near, key=lambda n: abs(downs[n] - scale)) if near else max(finer, key=lambda n: downs[n])
        level = slide.levels[self.level]
        self.scale = downs[self.level] if near else scale
        self.mpp = None if slide.mpp is None else slide.mpp * self.scale
        self._ratio = self.scale / level.downsample
        self.height = level.height if near else max(int(slide.height / scale), 1)
        self.width = level.width if near else max(int(slide.width / scale), 1)

    def read(self, row: int, column: int, height: int, width: int) -> Pixels:
        """Pixels of a rectangle, uint8 ``[height, width, 3]``, white outside the slide.

        Raises:
            DataError: a size below 1, or the pixels cannot be decoded.
        """
        if not self.resampled:
            return self.slide.read_level(row, column, height, width, level=self.level)
        if height < 1 or width < 1:
            raise DataError("a rectangle of a slide needs a size", value=f"{height} x {width}", allowed="1 or more")
        step = max(int(math.sqrt(_AT_ONCE) / self._ratio), 1)
        found = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, step):
            for left in range(0, width, step):
                part = found[top : top + step, left : left + step]
                part[:] = self._reduced(row + top, column + left, part.shape[0], part.shape[1])
        return found

    def _reduced(self, row: int, column: int, height: int, width: int) -> Pixels:
        ratio = self._ratio
        # The filter reaches one pixel of the view to each side.
        margin = math.ceil(ratio) + 1
        top, left = math.floor(row * ratio) - margin, math.floor(column * ratio) - margin
        bottom, right = math.ceil((row + height) * ratio) + margin, math.ceil((column + width) * ratio) + margin
        source = self.slide.read_level(top, left, bottom - top, right - left, level=self.level)
        box = (
            column * ratio - left,
            row * ratio - top,
            (column + width) * ratio - left,
            (row + height) * ratio - top,
        )
        image = Image.fromarray(source).resize((width, height), Image.Resampling.HAMMING, box=box)
        return np.asarray(image)
