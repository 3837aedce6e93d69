"""Slides in DICOM: by wsidicom, and by pydicom where wsidicom refuses a file that holds all that is needed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError, PercussError
from percuss.data.slides.dicom_frames import open_frames, read_slide_header, undecodable
from percuss.data.slides.resolution import settle
from percuss.data.slides.slide import Pixels, Slide, levels_of

_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage


class WsiDicomSlide(Slide):
    """A slide that wsidicom reads: the levels of one series, each in a file or more."""

    def __init__(self, path: Path, *, source: Any, mpp: float | None, notes: Sequence[str]) -> None:
        levels = list(source.levels)
        sizes = [(int(level.size.height), int(level.size.width)) for level in levels]
        super().__init__(path, levels_of(sizes), mpp=mpp, reader="wsidicom", notes=notes)
        self._source, self._indices = source, [int(level.level) for level in levels]

    def close(self) -> None:
        """Release the files."""
        self._source.close()

    def _decode(self, row: int, column: int, height: int, width: int, *, level: int) -> Pixels:
        try:
            region = self._source.read_region((column, row), self._indices[level], (width, height), as_array=True)
        except Exception as error:  # wsidicom's own, and those of each codec
            raise undecodable(self.path, error) from error
        return np.asarray(region[..., :3], np.uint8)


def open_dicom(path: Path, *, mpp: float | None = None) -> Slide:
    """Open a DICOM slide.

    Args:
        path: a file (the other levels of its series are looked for beside it), or a folder holding one series.
        mpp: micrometres per pixel of the largest level where the file does not say.

    Raises:
        DataError: no slide in DICOM, truncated, or a contradicting resolution.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of over-long texts, which do not matter here
            return _open(path, _files(path), mpp=mpp)
    except PercussError:
        raise
    except Exception as error:  # pydicom and wsidicom raise many kinds on damaged values
        raise DataError(
            "the file cannot be read as a slide in DICOM",
            value=f"{path}: {error}",
            next_step="check the file against its source",
        ) from error


def _open(path: Path, files: Sequence[Path], *, mpp: float | None) -> Slide:
    try:
        from wsidicom import WsiDicom
    except ImportError:
        return open_frames(files, mpp=mpp, why='the package wsidicom is not installed: pip install "percuss[wsi]"')
    try:
        source = WsiDicom.open([str(file) for file in files])
    except Exception as error:  # wsidicom raises its own, pydicom's, and KeyErrors on missing fields
        return open_frames(files, mpp=mpp, why=f"wsidicom refuses the file ({error})")
    try:
        spacing = source.levels.base_level.pixel_spacing
        size, notes = settle(path, (spacing.width * 1000, spacing.height * 1000), given=mpp)
        slide = WsiDicomSlide(path, source=source, mpp=size, notes=notes)
        for number, level in enumerate(slide.levels):
            # The last tile is the first to be missing from a truncated file.
            slide.read_level(level.height - 1, level.width - 1, 1, 1, level=number)
        return slide
    except BaseException:
        source.close()
        raise


def _files(path: Path) -> list[Path]:
    """Files of one series of slide images: those of a folder, or those beside a file with its series."""
    held = sorted(file for file in (path if path.is_dir() else path.parent).iterdir() if _is_dicom(file))
    headers = {file: read_slide_header(file) for file in held} if path.is_dir() else {path: read_slide_header(path)}
    slides = {file: found for file, found in headers.items() if found.get("SOPClassUID") == _SLIDE}
    if not slides:
        raise DataError(
            "there is no slide image in DICOM",
            value=path,
            allowed="VL Whole Slide Microscopy Image Storage",
            next_step="other DICOM images are read with --data dicom:...",
        )
    series = {str(found.get("SeriesInstanceUID")) for found in slides.values()}
    if len(series) > 1:
        raise DataError(
            "the folder holds several slides",
            value=f"{path}: {len(series)} series",
            next_step="name one file of the slide",
        )
    if path.is_dir():
        return list(slides)
    return [file for file in held if file == path or _is_level(file, next(iter(series)))]


def _is_dicom(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        stream.seek(128)
        return stream.read(4) == b"DICM"


def _is_level(path: Path, series: str) -> bool:
    try:
        found = read_slide_header(path)
    except DataError:
        return False  # a damaged neighbour; if it is a level, its absence shows in the levels
    return found.get("SOPClassUID") == _SLIDE and str(found.get("SeriesInstanceUID")) == series
