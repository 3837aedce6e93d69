"""Slides in TIFF files by tiffslide: Aperio SVS, generic pyramids and what else tifffile knows."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from percuss.core.errors import DataError, PercussError, UsageError
from percuss.data.slides.mosaic import Mosaic, TileCache
from percuss.data.slides.resolution import settle
from percuss.data.slides.slide import Pixels, Slide, levels_of
from percuss.data.slides.tiff_chain import check_chain

_STRIPS = 2**24


class TiffSlide(Slide):
    """A slide whose layout tiffslide reads and whose tiles are decoded one by one by tifffile.

    Decoded tiles are remembered up to 32 MiB, so that rectangles that cross tiles decode each once. Tiles that the
    file leaves out are white, as in OpenSlide.
    """

    def __init__(
        self, stream: BinaryIO, path: Path, *, pages: Sequence[Any], mpp: float | None, notes: Sequence[str]
    ) -> None:
        sizes = [(int(page.imagelength), int(page.imagewidth)) for page in pages]
        super().__init__(path, levels_of(sizes), mpp=mpp, reader="tiffslide", notes=notes)
        self._stream, self._pages = stream, pages
        self._lock = threading.Lock()
        self._cache = TileCache()

    def close(self) -> None:
        """Release the file."""
        self._cache.clear()
        self._stream.close()

    def _decode(self, row: int, column: int, height: int, width: int, *, level: int) -> Pixels:
        page = self._pages[level]
        tall, wide = _segment(page)
        mosaic = Mosaic(tall, wide, across=-(-int(page.imagewidth) // wide))
        return mosaic.read(
            lambda index: self._cache.get((level, index), lambda: self._tile(page, index)),
            (row, column),
            (height, width),
        )

    def _tile(self, page: Any, index: int) -> Pixels | None:
        size = int(page.databytecounts[index])
        if not size:
            return None
        with self._lock:
            self._stream.seek(int(page.dataoffsets[index]))
            packed = self._stream.read(size)
        return self._unpack(page, packed, index)

    def _unpack(self, page: Any, packed: bytes, index: int) -> Pixels:
        try:
            segment, _, shape = page.decode(packed, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
            tile: Pixels = np.ascontiguousarray(segment[0, : shape[1], : shape[2]])
        except Exception as error:  # each codec has errors of its own
            raise DataError(
                "a tile of the slide cannot be decoded",
                value=f"{self.path}: tile {index}: {error}",
                next_step="check the file against its source, or try another reader: --reader openslide",
            ) from error
        return tile


def open_tiffslide(path: Path, *, mpp: float | None = None) -> Slide:
    """Open a TIFF slide.

    Args:
        path: the file.
        mpp: micrometres per pixel of level 0 where the file does not say.

    Raises:
        UsageError: the extra ``wsi`` is not installed.
        DataError: no TIFF, truncated, an image that is no slide, or a contradicting resolution.
    """
    try:
        import tiffslide
    except ImportError:
        raise UsageError(
            "reading a TIFF slide needs the package tiffslide", next_step='install it with pip install "percuss[wsi]"'
        ) from None
    # Opened here, because tifffile leaves open what it cannot read.
    stream = path.open("rb")
    try:
        return _open(tiffslide.TiffSlide, path, stream, mpp=mpp)
    except PercussError:
        stream.close()
        raise
    except Exception as error:  # tifffile, tiffslide and their XML parsers each raise their own
        stream.close()
        raise DataError(
            "the file cannot be read as a TIFF slide",
            value=f"{path}: {error}",
            allowed="Aperio SVS or a tiled pyramidal TIFF of three interleaved colours of 8 bits",
            next_step="the file may be truncated or of another kind; try --reader openslide",
        ) from error


def _open(kind: Callable[[Any], Any], path: Path, stream: BinaryIO, *, mpp: float | None) -> Slide:
    if path.suffix.lower() != ".ndpi":  # which has offsets of its own
        check_chain(path, stream)
    stream.seek(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        source = kind(stream)
        found = source.properties
        pages = [level.pages[0].aspage() for level in source.ts_tifffile.series[found["tiffslide.series-index"]].levels]
    if "tiffslide.series-composition" in found:
        raise DataError(
            "a slide of several regions cannot be read by tiffslide here",
            value=path,
            next_step="use --reader openslide",
        )
    for number, page in enumerate(pages):
        _check(path, page, number)
    across, down = found.get("tiffslide.mpp-x"), found.get("tiffslide.mpp-y")
    size, notes = settle(path, None if across is None or down is None else (float(across), float(down)), given=mpp)
    # Warnings of other kinds have other causes.
    doubts = [str(note.message) for note in told if note.category is UserWarning]
    return TiffSlide(stream, path, pages=pages, mpp=size, notes=[*notes, *doubts])


def _segment(page: Any) -> tuple[int, int]:
    """Height and width of what is decoded at once: a tile, or a strip over the whole width."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return int(page.rowsperstrip), int(page.imagewidth)


def _check(path: Path, page: Any, number: int) -> None:
    kind = f"{page.dtype} x {page.samplesperpixel}"
    if page.dtype != np.uint8 or page.samplesperpixel != 3 or page.planarconfig != 1 or page.imagedepth != 1:
        raise DataError(
            "the image is no slide",
            value=f"{path}: level {number} holds {kind} values per pixel",
            allowed="three interleaved colours of 8 bits",
            next_step="masks are given as annotations, not as slides; convert other images to 8-bit RGB",
        )
    if not page.is_tiled and page.imagelength * page.imagewidth > _STRIPS:
        raise DataError(
            "the image is not stored in tiles, so that a part of it cannot be read alone",
            value=f"{path}: level {number} of {page.imagelength} x {page.imagewidth} in strips",
            allowed=f"tiles, or at most {_STRIPS} pixels",
            next_step="convert it, for instance with: vips tiffsave IN OUT --tile --pyramid",
        )
    size = path.stat().st_size
    ends = np.asarray(page.dataoffsets, np.int64) + np.asarray(page.databytecounts, np.int64)
    tall, wide = _segment(page)
    wanted = -(-int(page.imagelength) // tall) * -(-int(page.imagewidth) // wide)
    if len(ends) < wanted or ends.max() > size:
        raise DataError(
            "the slide is truncated",
            value=f"{path}: level {number} reaches byte {int(ends.max()) if len(ends) else 0} of {size}",
            next_step="copy or download the file again and compare its checksum",
        )
