"""From the bytes of an image file to native pixels: depth, orientation, palette and alpha made explicit."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.core.sharpening import sharpen, stretch
from percuss.data.options import choice, whole

Pixels = np.ndarray[Any, Any]

#: Names of the options that every reader of images understands.
READING_OPTIONS = ("size", "channels", "bits", "alpha", "stretch", "sharpen")
#: Endings of files taken for images, in lower case.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_ORIENTATION = 0x0112
#: How rows and columns are turned for each EXIF orientation: (swap axes first, flip rows, flip columns).
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


@dataclass(frozen=True)
class Reading:
    """How stored pixels become a case.

    Attributes:
        size: side of the square the image is resized to (antialiased, rounded to native levels); None keeps it.
        channels: ``rgb`` (grey is copied), ``grey`` (colour becomes Rec. 601 luma); None keeps them.
        bits: declared depth, 1 to 16; None takes the depth of the storage (8 or 16).
        alpha: ``white`` (laid on white) or ``drop``; None refuses an image that is not fully opaque.
        stretch, sharpen: each image's range to the whole one, then the sharpening of X-rays
            (``percuss.core.sharpening``), both at the final size and rounded to native levels.
    """

    size: int | None = None
    channels: str | None = None
    bits: int | None = None
    alpha: str | None = None
    stretch: bool = False
    sharpen: bool = False

    def __repr__(self) -> str:
        """As finished runs know it: ``stretch``, younger than they are, stands in it only where it is used."""
        kept = (name for name in self.__dataclass_fields__ if name != "stretch" or self.stretch)
        return f"Reading({', '.join(f'{name}={getattr(self, name)!r}' for name in kept)})"


def reading(options: Mapping[str, str]) -> Reading:
    """The reading options among ``options``, checked."""
    return Reading(
        size=whole(options, "size", low=1, high=16384),
        channels=choice(options, "channels", ("rgb", "grey")),
        bits=whole(options, "bits", low=1, high=16),
        alpha=choice(options, "alpha", ("white", "drop")),
        stretch=choice(options, "stretch", ("yes",)) is not None,
        sharpen=choice(options, "sharpen", ("yes",)) is not None,
    )


def decode(data: bytes, name: str, how: Reading) -> tuple[Pixels, PixelRange]:
    """Pixels ``[1 or 3, height, width]``, uint8 or uint16, and their native range.

    Args:
        data: the bytes of a PNG, JPEG, TIFF, BMP or WebP file.
        name: the image's id, for errors.
        how: the reading options.

    DataError: damaged file, colour space or depth without a safe reading, alpha without an instruction.
    """
    stored = _stored(data, name, how)
    return shape(_without_alpha(stored, name, how), name, how)


def decode_mask(data: bytes, name: str, size: int | None = None) -> Pixels:
    """An integer mask ``[height, width]``; palette images give the palette numbers. ``size`` resizes by nearest."""
    image = _opened(data, name)
    if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
        raise DataError(f"the mask of {name} is not a single channel", value=image.mode, allowed="grey or palette")
    found = _turned(np.asarray(image).astype(np.int64), image)
    return found if size is None else nearest_mask(found, size)


def nearest_mask(mask: Pixels, size: int) -> Pixels:
    """A mask ``[height, width]`` of any numbers as ``[size, size]``, each pixel the nearest of the old ones."""
    rows, columns = (((np.arange(size) + 0.5) * side / size).astype(int) for side in mask.shape)
    resized: Pixels = mask[np.ix_(rows, columns)]
    return resized


def shape(stored: Pixels, name: str, how: Reading) -> tuple[Pixels, PixelRange]:
    """Apply bits, channels, size and sharpening to pixels ``[1 or 3, height, width]`` of uint8 or uint16."""
    depth = stored.dtype.itemsize * 8
    if how.bits is not None:
        _check_bits(stored, name, depth=depth, bits=how.bits)
    top = 2 ** (how.bits or depth) - 1
    if how.channels == "rgb" and stored.shape[0] == 1:
        stored = np.repeat(stored, 3, axis=0)
    if how.channels == "grey" and stored.shape[0] == 3:
        luma = np.tensordot(np.array([0.299, 0.587, 0.114]), stored.astype(np.float64), 1)[None]
        stored = np.rint(luma).clip(0, top).astype(stored.dtype)
    if how.size is not None and stored.shape[1:] != (how.size, how.size):
        stored = _resized(stored, how.size, top)
    for step in [step for step, wanted in ((stretch, how.stretch), (sharpen, how.sharpen)) if wanted]:
        stored = step(torch.from_numpy(stored / top)).mul(top).round().numpy().astype(stored.dtype)
    return np.ascontiguousarray(stored), PixelRange(0, top)


def _check_bits(stored: Pixels, name: str, *, depth: int, bits: int) -> None:
    if bits <= 8 < depth:
        raise DataError(
            f"image {name} is 16-bit and would be 16-bit read as 8-bit",
            value=f"bits={bits}",
            allowed="bits from 9 to 16",
            next_step="leave ?bits= out, or declare the true depth, for instance ?bits=12",
        )
    if bits > depth:
        raise DataError(
            f"image {name} is stored in {depth} bits and cannot hold the declared depth", value=f"bits={bits}"
        )
    if int(stored.max(initial=0)) > 2**bits - 1:
        raise DataError(
            f"image {name} leaves its declared range",
            value=f"largest value {int(stored.max())}",
            allowed=f"0 to {2**bits - 1} for bits={bits}",
            next_step="declare the true depth with ?bits=",
        )


def _resized(stored: Pixels, size: int, top: int) -> Pixels:
    values = torch.from_numpy(stored.astype(np.float64))[None]
    wide = torch.nn.functional.interpolate
    small = wide(values, (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
    return small.round().clamp(0, top).numpy().astype(stored.dtype)


def _stored(data: bytes, name: str, how: Reading) -> Pixels:
    """Pixels ``[1, 2, 3 or 4, height, width]`` as stored; an even number of channels has alpha as its last."""
    image = _opened(data, name)
    if _is_deep_colour(image, data):
        return _deep_colour(data, name, image)
    if image.mode == "F":
        found = _whole_levels(np.asarray(image), name, how)
    elif image.mode.startswith("I"):
        found = _sixteen(np.asarray(image), name)
    else:
        found = np.asarray(_plain(image, name))
    found = _turned(found, image)
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


def _opened(data: bytes, name: str, *, other_byte: bool = False) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        frames = getattr(image, "n_frames", 1)
        if other_byte:
            _take_other_byte(image, name)
        image.load()
    except DataError:
        raise
    except Exception as error:  # Pillow raises many kinds of error on damaged files
        raise DataError(
            f"image {name} cannot be read",
            value=_why(error),
            allowed="whole PNG, JPEG, TIFF, BMP or WebP files",
            next_step="mend or remove the file",
        ) from error
    if frames > 1 and image.format != "MPO":
        raise DataError(f"image {name} has several pages", value=frames, next_step="save the page you want alone")
    return image


def _why(error: Exception) -> str:
    """The words of an error, without the address in memory that Pillow puts into one of them."""
    if isinstance(error, UnidentifiedImageError):
        return "its bytes are of no known image format"
    return str(error) or type(error).__name__


def _plain(image: Image.Image, name: str) -> Image.Image:
    """An 8-bit grey or colour image, with alpha where the file has any kind of transparency."""
    mode = image.mode
    if mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        raise DataError(
            f"image {name} is in a colour space that has no single reading as RGB",
            value=mode,
            allowed="grey, RGB or palette",
            next_step="convert it with its colour profile, and look at the result",
        )
    if "transparency" in image.info or mode == "PA":
        return image.convert("LA" if mode in ("1", "L") else "RGBA")
    return image.convert({"1": "L", "P": "RGB"}[mode]) if mode in ("1", "P") else image


def _sixteen(values: Pixels, name: str) -> Pixels:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high > 65535:
        raise DataError(
            f"image {name} leaves the 16-bit range",
            value=f"{low} to {high}",
            allowed="0 to 65535",
            next_step="shift or scale it to unsigned 16 bits, for instance add 32768 to signed values",
        )
    return values.astype(np.uint16)


def _whole_levels(values: Pixels, name: str, how: Reading) -> Pixels:
    if not bool(np.isfinite(values).all()):
        raise DataError(
            f"image {name} holds NaN or infinite pixels", allowed="finite values", next_step="mend or remove the file"
        )
    if how.bits is None or bool((values != np.rint(values)).any()):
        raise DataError(
            f"image {name} has floating-point pixels, which have no native depth",
            value=f"{float(values.min()):g} to {float(values.max()):g}",
            allowed="whole grey levels with ?bits= declared",
            next_step="save it as 16-bit PNG in grey levels",
        )
    found = _sixteen(values, name)
    return found if how.bits > 8 or int(found.max(initial=0)) > 255 else found.astype(np.uint8)


def _is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Whether the file has more than 8 bits per channel although Pillow gives 8."""
    if image.mode.startswith("I") or image.mode == "F":
        return False
    if image.format == "PNG":
        return data[24] == 16  # the bit depth within IHDR
    tags = getattr(image, "tag_v2", None)
    return tags is not None and max(tags.get(258, (8,))) > 8


def _deep_colour(data: bytes, name: str, image: Image.Image) -> Pixels:
    """16-bit colour. Pillow keeps one byte of each value, so the file is decoded once for each of the two."""
    low = _opened(data, name, other_byte=True)
    high_bytes, low_bytes = (np.asarray(half).astype(np.uint16) for half in (image, low))
    return _turned(high_bytes * np.uint16(256) + low_bytes, image).transpose(2, 0, 1)


def _take_other_byte(image: Image.Image, name: str) -> None:
    """Make Pillow unpack the low bytes, by declaring the opposite byte order."""
    swap = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
    tiles = []
    for codec, extents, offset, args in image.tile:  # type: ignore[attr-defined]
        raw, *rest = (args,) if isinstance(args, str) else args
        mode, _, order = str(raw).partition(";")
        planar = dict(getattr(image, "tag_v2", {})).get(284, 1) != 1
        if mode not in ("RGB", "RGBA") or order not in swap or planar or "transparency" in image.info:
            raise DataError(
                f"image {name} is 16-bit colour in a form that could only be read as 8-bit",
                value=f"{image.format} {raw}",
                next_step="save it as plain 16-bit RGB PNG, which keeps every value",
            )
        turned = f"{mode};{swap[order]}"
        tiles.append((codec, extents, offset, turned if isinstance(args, str) else (turned, *rest)))
    image.tile = tiles  # type: ignore[attr-defined]


def _turned(pixels: Pixels, image: Image.Image) -> Pixels:
    """Pixels ``[height, width, ...]`` upright. Pillow turns TIFF by itself and then drops the tag."""
    swap, rows, columns = _TURNS.get(image.getexif().get(_ORIENTATION, 1), _TURNS[1])
    if swap:
        pixels = pixels.swapaxes(0, 1)
    return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def _without_alpha(stored: Pixels, name: str, how: Reading) -> Pixels:
    if stored.shape[0] in (1, 3):
        return stored
    colour, alpha = stored[:-1], stored[-1:]
    top = int(np.iinfo(stored.dtype).max)
    if how.alpha == "drop" or bool((alpha == top).all()):
        return colour
    if how.alpha is None:
        raise DataError(
            f"image {name} is partly transparent, so its colours depend on the background",
            value=f"{float((alpha < top).mean()):.1%} of its pixels",
            next_step="say what to do: ?alpha=white lays it on white, ?alpha=drop takes the colours as stored",
        )
    share = alpha.astype(np.float64) / top
    laid: Pixels = np.rint(colour * share + top * (1 - share)).astype(stored.dtype)
    return laid
