"""Class maps and numbers of nuclei as files: grey PNG, TIFF or BMP, or npy, with every value as stored."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.data.decode import Pixels, decode_mask

_ALLOWED = "whole numbers in one channel: grey or palette PNG, TIFF or BMP, or npy"
_LOSSY = ("JPEG", "MPO", "WEBP")


def read_map(data: bytes, name: str, path: Path) -> Pixels:
    """Whole numbers ``[height, width]``, int64, upright.

    Args:
        data: the bytes of the file.
        name: id of the image, for errors.
        path: the file, for errors, and for its ending: ``.npy`` is an array.

    DataError: damaged, several channels, floating point, stored with loss, or negative.
    """
    what = f"{name} ({path.name})"
    found = _array(data, what) if path.suffix.lower() == ".npy" else _picture(data, what)
    if found.ndim != 2 or found.size == 0:
        raise DataError(
            f"the map of image {what} is not a single channel",
            value=found.shape,
            allowed="[height, width]",
            next_step="save one number for each pixel",
        )
    if found.dtype.kind not in "uib":
        raise DataError(
            f"the map of image {what} holds floating-point numbers",
            value=str(found.dtype),
            allowed=_ALLOWED,
            next_step="save whole numbers; probabilities are no truth",
        )
    values = found.astype(np.int64)
    if int(values.min()) < 0:
        raise DataError(
            f"the map of image {what} holds negative numbers", value=int(values.min()), allowed="0 and above"
        )
    return values


def as_classes(values: Pixels, what: str, *, classes: int, ignore: int | None) -> Pixels:
    """A class map uint8 ``[height, width]`` of whole numbers, with ``ignore`` (and 255) as pixels without a judgement.

    DataError for a value without a name, which ``what`` (image and file) names.
    """
    given = set(np.unique(values).tolist()) - {IGNORE, ignore}
    unknown = sorted(given - set(range(classes)))
    if unknown:
        listed = ", ".join(map(str, unknown[:8])) + (", ..." if len(unknown) > 8 else "")
        raise DataError(
            f"the class map of image {what} holds values without a name",
            value=listed,
            allowed=f"0 to {classes - 1}, and {IGNORE} for pixels that are not judged",
            next_step=f"name every class with ?names=..., or leave one value out with ?ignore={unknown[0]}",
        )
    found: Pixels = np.where(values == ignore, IGNORE, values) if ignore is not None else values
    return found.astype(np.uint8)


def as_instances(values: Pixels, what: str) -> Pixels:
    """Numbers of nuclei as int32; DataError where one is too large for it."""
    top = int(values.max(initial=0))
    if top > np.iinfo(np.int32).max:
        raise DataError(
            f"the numbers of nuclei of image {what} are too large",
            value=top,
            allowed=f"up to {np.iinfo(np.int32).max}",
            next_step="number the nuclei from 1",
        )
    return values.astype(np.int32)


def _array(data: bytes, what: str) -> Pixels:
    try:
        found: np.ndarray[Any, Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(
            f"the map of image {what} cannot be read as npy", value=str(error), next_step="save it anew with numpy.save"
        ) from error
    return found


def _picture(data: bytes, what: str) -> Pixels:
    try:
        with Image.open(io.BytesIO(data)) as image:
            mode, kind, depth = image.mode, image.format, _grey_depth(image, data)
    except Exception as error:  # Pillow raises many kinds of error on damaged files
        raise DataError(
            f"the map of image {what} cannot be read",
            value="its bytes are of no known image format, or damaged",
            allowed=_ALLOWED,
            next_step="save it anew, or mend the table",
        ) from error
    if kind in _LOSSY:
        raise DataError(
            f"the map of image {what} is stored in a form that changes values",
            value=kind,
            allowed=_ALLOWED,
            next_step="make it anew as PNG from its source",
        )
    if mode == "F":
        return np.zeros((1, 1), dtype=np.float32)  # refused by the caller, by its type
    if mode not in ("1", "L", "P") and not mode.startswith("I"):
        raise DataError(
            f"the map of image {what} is in colour",
            value=mode,
            allowed=_ALLOWED,
            next_step="save the number of the class at each pixel as 8-bit grey PNG",
        )
    found = decode_mask(data, what)
    # Pillow spreads 2- and 4-bit grey over 0 to 255; the numbers as stored are meant.
    return found // (255 // (2**depth - 1)) if depth in (2, 4) else found


def _grey_depth(image: Image.Image, data: bytes) -> int:
    """Bits of each pixel of a grey PNG or TIFF; 8 for others."""
    if image.format == "PNG":
        return data[24] if data[25] == 0 else 8
    tags = getattr(image, "tag_v2", None)
    return max(tags.get(258, (8,))) if tags is not None and image.mode == "L" else 8
