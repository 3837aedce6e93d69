"""Tiles of a DICOM slide that lacks what wsidicom demands: frames decoded by pydicom and laid out by what is known."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array

from percuss.core.errors import DataError
from percuss.data.slides.mosaic import Mosaic, TileCache
from percuss.data.slides.resolution import settle
from percuss.data.slides.slide import Pixels, Slide, levels_of

_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# Padding packed as JPEG is not quite of one colour.
_FLAT = 3.0


class FrameSlide(Slide):
    """One DICOM file whose frames are the tiles of one level, decoded one by one by pydicom."""

    def __init__(self, path: Path, header: Dataset, *, mpp: float | None) -> None:
        size = int(header.TotalPixelMatrixRows), int(header.TotalPixelMatrixColumns)
        super().__init__(path, levels_of([size]), mpp=mpp, reader="pydicom")
        tall, wide = int(header.Rows), int(header.Columns)
        self._down, self._across = -(-size[0] // tall), -(-size[1] // wide)
        self._mosaic, self._by_column = Mosaic(tall, wide, self._across), False
        self._cache, self._lock = TileCache(), threading.Lock()
        self._stream = path.open("rb")

    def close(self) -> None:
        """Release the file."""
        self._cache.clear()
        self._stream.close()

    def _decode(self, row: int, column: int, height: int, width: int, *, level: int) -> Pixels:
        return self._mosaic.read(self._tile, (row, column), (height, width))

    def _tile(self, index: int) -> Pixels | None:
        if self._by_column:
            index = index % self._across * self._down + index // self._across
        return self._frame(index)

    def _frame(self, index: int) -> Pixels | None:
        def decode() -> Pixels:
            try:
                with self._lock, warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # pydicom warns of over-long texts, which do not matter here
                    return np.ascontiguousarray(pixel_array(self._stream, index=index), np.uint8)
            except Exception as error:  # pydicom and its plugins raise many kinds
                raise undecodable(self.path, error) from error

        return self._cache.get((0, index), decode)

    def order(self, declared: str) -> str:
        """Find out whether the tiles run along rows or down columns, and say by what.

        A file of type TILED_FULL runs along rows. Otherwise the padding tells: tiles at the lower and right edge reach
        beyond the slide and are of one colour there, and only one of the two orders puts them there.

        Raises:
            DataError: nothing tells.
        """
        if declared == "TILED_FULL":
            return "along rows, as TILED_FULL says"
        if 1 in (self._down, self._across):
            return "in the only order"
        fits = {by_column: self._padded(by_column) for by_column in (False, True)}
        if fits[False] == fits[True]:
            raise DataError(
                "the DICOM file does not tell in which order its tiles lie",
                value=self.path,
                allowed="Dimension Organization Type TILED_FULL, or tiles padded at the edges",
                next_step="correct the file so that wsidicom reads it",
            )
        self._by_column = fits[True]
        return ("down columns" if self._by_column else "along rows") + ", as the padding of the edge tiles shows"

    def _padded(self, by_column: bool) -> bool:
        """Whether every tile at the lower or right edge is of one colour beyond the slide, in this order."""
        rest_down, rest_right = self.height % self._mosaic.tall, self.width % self._mosaic.wide
        if not rest_down and not rest_right:
            return False
        for down in range(self._down):
            for right in range(self._across):
                lower, outer = rest_down and down == self._down - 1, rest_right and right == self._across - 1
                if not (lower or outer):
                    continue
                tile = self._frame(right * self._down + down if by_column else down * self._across + right)
                # A margin of 16 pixels, because JPEG smears the edge of the padding.
                beyond = [tile[rest_down + 16 :]] if lower and tile is not None else []
                beyond += [tile[:, rest_right + 16 :]] if outer and tile is not None else []
                if any(part.size and part.std((0, 1)).max() > _FLAT for part in beyond):
                    return False
        return True


def open_frames(files: Sequence[Path], *, mpp: float | None, why: str) -> Slide:
    """Open the largest of some DICOM files by its frames.

    Args:
        files: levels of one slide; the one of most pixels is read.
        mpp: micrometres per pixel where the file does not say.
        why: why wsidicom does not read them, for the note and for errors.

    Raises:
        DataError: no size, frames that do not fill it, an order of tiles that nothing tells, colours of another kind,
            truncated, or a contradicting resolution.
    """
    file = max(files, key=lambda each: _area(read_slide_header(each)))
    header = read_slide_header(file)
    _check(file, header, why)
    stored, doubt = _spacing(header)
    size, notes = settle(file, stored, given=mpp)
    slide = FrameSlide(file, header, mpp=size)
    try:
        order = slide.order(str(header.get("DimensionOrganizationType") or ""))
        # The last frame is the first to be missing from a truncated file.
        slide.read(slide.height - 1, slide.width - 1, 1, 1)
    except BaseException:
        slide.close()
        raise
    slide.notes = (f"Frames read with pydicom, tiles lying {order}, because {why}.", *doubt, *notes)
    return slide


def read_slide_header(path: Path) -> Dataset:
    """Everything but the pixels of a DICOM file.

    Raises:
        DataError: it cannot be read as DICOM.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dcmread(path, stop_before_pixels=True)
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise DataError(
            "the file cannot be read as DICOM",
            value=f"{path}: {error}",
            next_step="--reader auto tells files by their first bytes",
        ) from error


def undecodable(path: Path, error: Exception) -> DataError:
    """The error of a slide whose pixels cannot be decoded."""
    return DataError(
        "a part of the slide cannot be decoded",
        value=f"{path}: {error}",
        next_step="the file may be truncated, or its compression needs a package such as pylibjpeg",
    )


def _area(header: Dataset) -> int:
    return int(header.get("TotalPixelMatrixRows") or 0) * int(header.get("TotalPixelMatrixColumns") or 0)


def _check(path: Path, header: Dataset, why: str) -> None:
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if not (rows and columns and _area(header)):
        raise DataError(
            "the DICOM file does not say how its tiles lie",
            value=f"{path}; {why}",
            allowed="Rows, Columns and Total Pixel Matrix Rows and Columns",
        )
    wanted = -(-int(header.TotalPixelMatrixRows) // rows) * -(-int(header.TotalPixelMatrixColumns) // columns)
    frames = int(header.get("NumberOfFrames") or 1)
    sparse = header.get("DimensionOrganizationType") == "TILED_SPARSE" or header.get("PerFrameFunctionalGroupsSequence")
    if frames != wanted or sparse:
        raise DataError(
            "the tiles of the DICOM file do not fill the slide one after the other",
            value=f"{path}: {frames} frames where {wanted} fill it; {why}",
            next_step="correct the file so that wsidicom reads it",
        )
    kind, bits = str(header.get("PhotometricInterpretation") or ""), int(header.get("BitsAllocated") or 0)
    if kind not in _COLOUR or bits != 8 or int(header.get("SamplesPerPixel") or 0) != 3:
        raise DataError(
            "the image is no slide", value=f"{path}: {kind} of {bits} bits", allowed="three colours of 8 bits"
        )


def _spacing(header: Dataset) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Micrometres per pixel along x and y, and a note where the file's other statement of them makes no sense."""
    shared = header.get("SharedFunctionalGroupsSequence")
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    if measures:
        down, across = measures[0].PixelSpacing
        return (float(across) * 1000, float(down) * 1000), ()
    wide, high = float(header.get("ImagedVolumeWidth") or 0), float(header.get("ImagedVolumeHeight") or 0)
    if not wide or not high:
        return None, ()
    # Millimetres of the whole matrix.
    right = wide * 1000 / int(header.TotalPixelMatrixColumns)
    down = high * 1000 / int(header.TotalPixelMatrixRows)
    if abs(right - down) > 0.01 * max(right, down):
        size = f"{wide:g} x {high:g} mm"
        return None, (f"The imaged volume of {size} does not have the shape of the image; no resolution is taken.",)
    return (right, down), ()
