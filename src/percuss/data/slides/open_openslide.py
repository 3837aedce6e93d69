"""Slides by OpenSlide, an optional reader that also knows formats outside TIFF and DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from percuss.core.errors import DataError, UsageError
from percuss.data.slides.resolution import settle
from percuss.data.slides.slide import WHITE, Pixels, Slide, levels_of


class OpenSlide(Slide):
    """A slide that the OpenSlide library reads.

    Pixels equal those of the other readers where the sides of a level divide those of level 0. Where they do not,
    OpenSlide places the level by the ratio of the sizes and blends pixels: a rectangle may lie half a pixel elsewhere.
    """

    def __init__(self, path: Path, *, source: Any, mpp: float | None, notes: Sequence[str]) -> None:
        sizes = [(height, width) for width, height in source.level_dimensions]
        super().__init__(path, levels_of(sizes), mpp=mpp, reader="openslide", notes=notes)
        self._source = source

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def _decode(self, row: int, column: int, height: int, width: int, *, level: int) -> Pixels:
        # OpenSlide wants the corner in pixels of level 0, by its own ratio.
        ratio = self._source.level_downsamples[level]
        try:
            image = self._source.read_region((round(column * ratio), round(row * ratio)), level, (width, height))
        except Exception as error:  # OpenSlideError, or one of Pillow's
            raise DataError(
                "a part of the slide cannot be decoded",
                value=f"{self.path}: row {row}, column {column} of level {level}: {error}",
                next_step="check the file against its source",
            ) from error
        found = np.asarray(image)
        if (found[..., 3] == 255).all():
            return found[..., :3]
        white = Image.new("RGBA", image.size, (WHITE, WHITE, WHITE, 255))
        return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def open_openslide(path: Path, *, mpp: float | None = None) -> Slide:
    """Open a slide with OpenSlide.

    Args:
        path: the file.
        mpp: micrometres per pixel of level 0 where the file does not say.

    Raises:
        UsageError: the extra ``openslide`` is not installed.
        DataError: no format that OpenSlide reads, truncated, or a contradicting resolution.
    """
    try:
        import openslide
    except ImportError:
        raise UsageError(
            "this reader needs the package openslide-python",
            next_step='install it with pip install "percuss[openslide]"',
        ) from None
    try:
        source = openslide.OpenSlide(path)
    except Exception as error:  # OpenSlideError and OSError
        raise DataError(
            "OpenSlide cannot read the file",
            value=f"{path}: {error}",
            allowed="a slide in one of OpenSlide's formats",
            next_step="the file may be truncated; for TIFF and DICOM try --reader auto",
        ) from error
    try:
        stored = source.properties.get("openslide.mpp-x"), source.properties.get("openslide.mpp-y")
        pair = None if stored[0] is None or stored[1] is None else (float(stored[0]), float(stored[1]))
        size, notes = settle(path, pair, given=mpp)
        return OpenSlide(path, source=source, mpp=size, notes=notes)
    except BaseException:
        source.close()
        raise
