"""A mask as large as the slide (a tiled, pyramidal TIFF) as the truth of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError, UsageError
from percuss.data.slides.cells import UNJUDGED, Floats, Scaled, check_cell
from percuss.data.slides.slide import Level, levels_of

#: What a value of a mask may stand for.
MEANINGS = ("normal", "tumour", "ignore")
_EXAMPLES = '"0=normal,1=tumour", "0=normal,255=tumour" or, as in CAMELYON17, "0=ignore,1=normal,2=tumour"'
_SAMPLE = 2**26


def read_values(text: str) -> dict[int, str]:
    """The convention ``0=normal,1=tumour,2=tumour``; DataError where it has another form or names no tumour."""
    found: dict[int, str] = {}
    for part in text.split(","):
        value, equals, meaning = part.strip().partition("=")
        if not (value.isdigit() and int(value) <= UNJUDGED and equals and meaning in MEANINGS) or int(value) in found:
            raise DataError(
                "the values of a mask must be declared once each, with their meaning",
                value=text,
                allowed=f"VALUE=MEANING by commas; meanings {', '.join(MEANINGS)}; values 0 to 255",
                next_step=f"for instance --values {_EXAMPLES}",
            )
        found[int(value)] = meaning
    if "tumour" not in found.values():
        raise DataError("no value of the mask stands for tumour", value=text, next_step=f"for instance {_EXAMPLES}")
    return found


class MaskPyramid:
    """An open mask; a context manager. Parts are read when asked for, from the level that the resolution needs.

    The pyramid's levels may be other than the slide's, below the largest: a level is chosen by its downsample.

    Attributes:
        path: the file.
        levels: of the mask, from the largest.
    """

    def __init__(self, path: Path | str, *, values: Mapping[int, str], size: tuple[int, int] | None = None) -> None:
        """Open a mask.

        Args:
            path: a TIFF of one 8-bit channel.
            values: meaning of each value: ``normal``, ``tumour`` or ``ignore`` (not judged).
            size: (height, width) of the slide's largest level, which the mask must share.

        Raises:
            UsageError: tifffile is not installed (extra ``wsi``).
            DataError: no such file, no mask, or one of another size than the slide.
        """
        try:
            import tifffile
        except ImportError:
            raise UsageError(
                "reading a mask needs the package tifffile", next_step='install it with pip install "percuss[wsi]"'
            ) from None
        self.path = Path(path)
        try:
            self._file = tifffile.TiffFile(self.path)
            self._pages = _pages(self._file)
            self._stream = self.path.open("rb")
        except Exception as error:  # tifffile raises many kinds
            raise DataError(
                "the mask cannot be read as a TIFF",
                value=f"{self.path}: {error}",
                next_step="check the file given with --annotations",
            ) from error
        self.levels: tuple[Level, ...] = levels_of([(int(p.imagelength), int(p.imagewidth)) for p in self._pages])
        self._values = _table(values)
        try:
            _check(self.path, self._pages, self.levels[0], size)
        except DataError:
            self.close()
            raise

    def close(self) -> None:
        """Release the file."""
        self._stream.close()
        self._file.close()

    def __enter__(self) -> MaskPyramid:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def shares(self, view: Scaled, corner: tuple[int, int], *, side: int, cell: int = 4) -> tuple[Floats, Floats]:
        """Share of each cell's area that is tumour, and that is judged at all, float64 ``[side / cell, side / cell]``.

        Exact for pixels cut by a cell's edge; outside the mask nothing is judged.

        Args:
            view: tells how many pixels of the slide's largest level one pixel of the tile takes.
            corner: row and column of the tile's upper left corner in pixels of the view.
            side: of the tile in pixels of the view, a multiple of ``cell``.
            cell: side of a cell in pixels of the view.

        Raises:
            DataError: a value that was not declared, or a part that cannot be decoded.
        """
        check_cell(side, cell)
        level = self._level(view.scale)
        size = self.levels[level]
        unit = view.scale / size.downsample
        count = side // cell
        rows, columns = (np.asarray((start + np.arange(count + 1) * cell) * unit, np.float64) for start in corner)
        area = (cell * unit) ** 2
        tumour, judged = np.zeros((count, count)), np.zeros((count, count))
        left, right = _ends(columns, size.width)
        top, bottom = _ends(rows, size.height)
        if right <= left or bottom <= top:
            return tumour, judged
        across = _overlaps(columns, left, right)
        step = max(_SAMPLE // (16 * (right - left)), 1)  # so many rows of the mask at once
        for first in range(top, bottom, step):
            last = min(first + step, bottom)
            kinds = self._read(level, (first, last), (left, right))
            down = _overlaps(rows, first, last)
            tumour += down @ (kinds == 1).astype(np.float64) @ across.T
            judged += down @ (kinds != UNJUDGED).astype(np.float64) @ across.T
        return tumour / area, judged / area

    def _level(self, scale: float) -> int:
        """The coarsest level that is no coarser than the view (with the tolerance of views), else the finest."""
        fine = [n for n, level in enumerate(self.levels) if level.downsample <= scale * 1.03]
        return max(fine, key=lambda n: self.levels[n].downsample, default=0)

    def _read(self, level: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray[Any, Any]:
        """0 normal, 1 tumour, 255 not judged for a rectangle inside a level."""
        page = self._pages[level]
        tall, wide = (
            (int(page.tilelength), int(page.tilewidth))
            if page.is_tiled
            else (int(page.rowsperstrip), int(page.imagewidth))
        )
        across = -(-int(page.imagewidth) // wide)
        found = np.zeros((rows[1] - rows[0], columns[1] - columns[0]), np.uint8)
        for down in range(rows[0] // tall, (rows[1] - 1) // tall + 1):
            for right in range(columns[0] // wide, (columns[1] - 1) // wide + 1):
                y, x = down * tall, right * wide
                tile = self._segment(page, down * across + right, size=(tall, wide))
                y0, x0 = max(y, rows[0]), max(x, columns[0])
                y1, x1 = min(y + tile.shape[0], rows[1]), min(x + tile.shape[1], columns[1])
                part = tile[y0 - y : y1 - y, x0 - x : x1 - x]
                found[y0 - rows[0] : y1 - rows[0], x0 - columns[0] : x1 - columns[0]] = part
        return self._meant(found)

    def _segment(self, page: Any, index: int, *, size: tuple[int, int]) -> np.ndarray[Any, Any]:
        """A decoded tile or strip; one that the file leaves out is 0 throughout, as in every sparse TIFF."""
        count = int(page.databytecounts[index])
        if not count:
            return np.zeros(size, np.uint8)
        self._stream.seek(int(page.dataoffsets[index]))
        try:
            decoded, _, shape = page.decode(self._stream.read(count), index, jpegtables=page.jpegtables)
            found: np.ndarray[Any, Any] = decoded[0, : shape[1], : shape[2], 0]
        except Exception as error:  # each codec has errors of its own
            raise DataError(
                "a part of the mask cannot be decoded",
                value=f"{self.path}: part {index}: {error}",
                next_step="the file may be truncated: copy it again",
            ) from error
        return found

    def _meant(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self._values[values]
        odd = found == _UNKNOWN
        if bool(odd.any()):
            listed = ", ".join(map(str, np.unique(values[odd])[:8].tolist()))
            raise DataError(
                "the mask holds a value whose meaning was not declared",
                value=f"{self.path}: {listed}",
                allowed=", ".join(str(value) for value in np.flatnonzero(self._values != _UNKNOWN)),
                next_step=f"declare every value with --values, for instance {_EXAMPLES}; many values mean a picture, "
                "or a mask stored with loss",
            )
        return found


_UNKNOWN = 7


def _table(values: Mapping[int, str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    found = np.full(256, _UNKNOWN, np.uint8)
    for value, meaning in values.items():
        found[value] = {"normal": 0, "tumour": 1, "ignore": UNJUDGED}[meaning]
    return found


def _pages(file: Any) -> list[Any]:
    """The levels of the first pyramid, largest first; separate directories that halve each other count as one."""
    series = file.series[0]
    if len(series.levels) > 1:
        return [level.pages[0].aspage() for level in series.levels]
    pages = [page.aspage() for page in file.pages]
    first = pages[0]
    shape = (first.imagelength, first.imagewidth)
    ratio = shape[0] / shape[1]
    like = [p for p in pages[1:] if p.dtype == first.dtype and abs(p.imagelength / p.imagewidth / ratio - 1) < 0.05]
    found, last = [first], shape
    for page in like:
        if page.imagelength < last[0] and page.imagewidth < last[1]:
            found.append(page)
            last = (page.imagelength, page.imagewidth)
    return found


def _check(path: Path, pages: Sequence[Any], largest: Level, size: tuple[int, int] | None) -> None:
    for number, page in enumerate(pages):
        if page.dtype != np.uint8 or page.samplesperpixel != 1:
            raise DataError(
                "the file is no mask",
                value=f"{path}: level {number} holds {page.samplesperpixel} x {page.dtype} per pixel",
                allowed="one channel of 8 bits",
                next_step="save one number per pixel",
            )
        if not page.is_tiled and int(page.rowsperstrip) * int(page.imagewidth) > _SAMPLE:
            raise DataError(
                "the mask is not stored in tiles, so that a part of it cannot be read alone",
                value=f"{path}: level {number}",
                next_step="convert it, for instance with: vips tiffsave IN OUT --tile --pyramid --compression deflate",
            )
    if size is not None and (largest.height, largest.width) != tuple(size):
        raise DataError(
            "the mask has another size than the slide",
            value=f"{path}: {largest.height} x {largest.width}",
            allowed=f"{size[0]} x {size[1]}, as the slide's largest level",
            next_step="give the mask of this very slide, at its full size",
        )


def _ends(edges: Floats, limit: int) -> tuple[int, int]:
    """First and one past the last pixel of a level that any cell between these edges touches."""
    return max(int(np.floor(edges[0])), 0), min(int(np.ceil(edges[-1] - 1e-9)), limit)


def _overlaps(edges: Floats, first: int, last: int) -> Floats:
    """How much of each pixel ``first`` to ``last`` lies within each cell, ``[cells, pixels]``, 0 to 1."""
    pixels = np.arange(first, last)
    low = np.maximum(edges[:-1, None], pixels[None, :])
    high = np.minimum(edges[1:, None], pixels[None, :] + 1)
    found: Floats = np.clip(high - low, 0, 1)
    return found
