"""What a whole-slide image is to the rest of Percuss: levels, a resolution, and rectangles read on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from percuss.core.errors import DataError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
WHITE = 255


@dataclass(frozen=True)
class Level:
    """One resolution of a slide.

    Attributes:
        height: rows of pixels.
        width: columns of pixels.
        downsample: pixels of level 0 along a side of one pixel of this level, 1 or more.
    """

    height: int
    width: int
    downsample: float


class Slide(ABC):
    """An open slide; a context manager. Rectangles are read when asked for, never a whole level.

    Attributes:
        path: the file, or the folder of a DICOM series.
        levels: from the largest to the smallest.
        mpp: micrometres per pixel of level 0, None where the file does not say and nobody did.
        reader: what reads the pixels: "tiffslide", "openslide", "wsidicom" or "pydicom".
        notes: what a report should say of how the file was read, in sentences.
    """

    def __init__(
        self, path: Path, levels: Sequence[Level], *, mpp: float | None, reader: str, notes: Sequence[str] = ()
    ) -> None:
        self.path, self.levels, self.mpp = path, tuple(levels), mpp
        self.reader, self.notes = reader, tuple(notes)

    @property
    def height(self) -> int:
        """Rows of pixels of level 0."""
        return self.levels[0].height

    @property
    def width(self) -> int:
        """Columns of pixels of level 0."""
        return self.levels[0].width

    def read(self, row: int, column: int, height: int, width: int, *, level: int = 0) -> Pixels:
        """Pixels of a rectangle, uint8 ``[height, width, 3]``, white outside the slide.

        Args:
            row: upper edge in pixels of level 0, may be negative.
            column: left edge in pixels of level 0, may be negative.
            height: rows wanted, in pixels of ``level``.
            width: columns wanted, in pixels of ``level``.
            level: index into ``levels``.

        Raises:
            DataError: no such level, a size below 1, or the pixels cannot be decoded.
        """
        down = self._level(level).downsample
        return self.read_level(int(row // down), int(column // down), height, width, level=level)

    def read_level(self, row: int, column: int, height: int, width: int, *, level: int) -> Pixels:
        """As ``read``, but row and column too are pixels of ``level``."""
        size = self._level(level)
        if height < 1 or width < 1:
            raise DataError("a rectangle of a slide needs a size", value=f"{height} x {width}", allowed="1 or more")
        found = np.full((height, width, 3), WHITE, np.uint8)
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + height, size.height), min(column + width, size.width)
        if bottom > top and right > left:
            part = self._decode(top, left, bottom - top, right - left, level=level)
            found[top - row : bottom - row, left - column : right - column] = part
        return found

    @abstractmethod
    def _decode(self, row: int, column: int, height: int, width: int, *, level: int) -> Pixels:
        """Pixels of a rectangle that lies inside ``level``, all in pixels of that level."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def _level(self, level: int) -> Level:
        if not 0 <= level < len(self.levels):
            raise DataError(
                "the slide has no such level", value=f"{self.path}: {level}", allowed=f"0 to {len(self.levels) - 1}"
            )
        return self.levels[level]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {self.height} x {self.width}, mpp={self.mpp})"


def levels_of(sizes: Sequence[tuple[int, int]]) -> tuple[Level, ...]:
    """Levels from their (height, width), largest first.

    The downsample is the whole number that explains both sizes up to rounding where there is one: a level of 1783
    columns of 3567 is every second pixel, not 2.0006 of them. Otherwise it is the mean of the two ratios.
    """
    (full_height, full_width), found = sizes[0], []
    for height, width in sizes:
        mean = (full_height / height + full_width / width) / 2
        whole = max(round(mean), 1)
        explained = abs(height * whole - full_height) <= whole and abs(width * whole - full_width) <= whole
        found.append(Level(height, width, float(whole) if explained else mean))
    return tuple(found)
