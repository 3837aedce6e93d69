"""Open a slide with the reader that its first bytes ask for, or with a named one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from percuss.core.errors import DataError, UsageError, nearest
from percuss.data.slides.open_dicom import open_dicom
from percuss.data.slides.open_openslide import open_openslide
from percuss.data.slides.open_tiffslide import open_tiffslide
from percuss.data.slides.slide import Slide

_OPEN: dict[str, Callable[..., Slide]] = {
    "tiffslide": open_tiffslide,
    "openslide": open_openslide,
    "dicom": open_dicom,
}
READERS = ("auto", *_OPEN)
# TIFF and BigTIFF in either byte order.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# What OpenSlide alone reads, and that is not a TIFF.
_OPENSLIDE = frozenset({".mrxs", ".vms", ".vmu", ".czi"})


def open_slide(path: Path | str, *, mpp: float | None = None, reader: str = "auto") -> Slide:
    """Open a slide for reading.

    Args:
        path: the file; for DICOM a file of the series or its folder.
        mpp: micrometres per pixel of level 0, where the file does not say.
        reader: "tiffslide" (TIFF and SVS), "openslide" (optional), "dicom" (wsidicom, else pydicom), or "auto", which
            takes tiffslide for a TIFF, dicom for DICOM, and openslide for formats that only it reads.

    Returns:
        The open slide; its ``reader`` and ``notes`` say how it is read.

    Raises:
        UsageError: an unknown reader, or its package is not installed.
        DataError: missing, truncated, unsupported, no slide, or a contradicting resolution.
    """
    if reader not in READERS:
        raise UsageError("unknown reader of slides", value=reader, allowed=nearest(reader, READERS))
    found = Path(path)
    if not found.exists():
        raise DataError("there is no such slide", value=found, next_step="check the path")
    chosen = _kind(found) if reader == "auto" else reader
    if found.is_dir() and chosen != "dicom":
        raise DataError("a folder is no slide for this reader", value=f"{found}: {chosen}", allowed="a file")
    return _OPEN[chosen](found, mpp=mpp)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "dicom"
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
    except OSError as error:
        raise DataError("the slide cannot be read", value=f"{path}: {error}") from error
    if start[:4] in _TIFF:
        return "tiffslide"
    if start[128:] == b"DICM":
        return "dicom"
    if path.suffix.lower() in _OPENSLIDE:
        return "openslide"
    raise DataError(
        "the file is no slide",
        value=f"{path}: {len(start)} bytes read, neither TIFF nor DICOM" if start else f"{path}: an empty file",
        allowed="Aperio SVS, a tiled pyramidal TIFF, DICOM; others with --reader openslide",
        next_step="patches in PNG or JPEG are read as a folder or a CSV of images, not as slides",
    )
