"""Open a slide with the reader that its first bytes ask for, or with a named one."""

from __future__ import annotations

from pathlib import Path

from percuss.core.errors import DataError, UsageError, nearest
from percuss.data.slides.open_tiffslide import open_tiffslide
from percuss.data.slides.slide import Slide

READERS = ("auto", "tiffslide")


def open_slide(path: Path | str, *, mpp: float | None = None, reader: str = "auto") -> Slide:
    """Open a slide for reading.

    Args:
        path: the file.
        mpp: micrometres per pixel of level 0, where the file does not say.
        reader: "tiffslide" or "auto".

    Raises:
        UsageError: an unknown reader, or its package is not installed.
        DataError: missing, truncated, unsupported, no slide, or a contradicting resolution.
    """
    if reader not in READERS:
        raise UsageError("unknown reader of slides", value=reader, allowed=nearest(reader, READERS))
    found = Path(path)
    if not found.exists():
        raise DataError("there is no such slide", value=found, next_step="check the path")
    return open_tiffslide(found, mpp=mpp)
