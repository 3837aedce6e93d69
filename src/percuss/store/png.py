"""Images as lossless PNG files of their native depth: 8 or 16 bit, grey or RGB."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from percuss.core.errors import RunError
from percuss.core.pixel_range import PixelRange

if TYPE_CHECKING:
    from torch import Tensor

_KIND = {1: 0, 3: 2}


def encode(image: Tensor, pixels: PixelRange, *, packed: bool = True) -> bytes:
    """A PNG of one image ``[C, H, W]`` in [0, 1] (C 1 or 3): each value as its level, 0 to ``pixels.levels``.

    Without ``packed`` the pixels are stored as they are: the very bytes that ``uncompressed`` makes of it, sooner.

    Up to 255 levels give 8 bit, up to 65535 16 bit. RunError for other channel counts or more levels. Written
    here, since the imaging library cannot write 16-bit colour.
    """
    if image.dim() != 3 or image.shape[0] not in _KIND or not 1 <= pixels.levels <= 65535:
        raise RunError(
            "an image cannot be stored as PNG",
            value=f"shape {tuple(image.shape)}, {pixels.levels} levels",
            allowed="1 or 3 channels and at most 65535 levels",
        )
    channels, high, wide = image.shape
    levels = (image.detach().cpu().double() * pixels.levels).round().clamp(0, pixels.levels).numpy()
    deep = pixels.levels > 255
    values = levels.transpose(1, 2, 0).astype(">u2" if deep else "u1").reshape(high, -1)
    raw = np.ascontiguousarray(values).view("u1").reshape(high, -1)
    # Each line is stored as its difference to the line above (filter 2): lossless and smaller.
    above = np.zeros_like(raw)
    above[1:] = raw[:-1]
    lines = np.concatenate([np.full((high, 1), 2, "u1"), raw - above], axis=1)
    header = struct.pack(">IIBBBBB", wide, high, 16 if deep else 8, _KIND[channels], 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6 if packed else 0)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def uncompressed(png: bytes) -> bytes:
    """The same picture with its pixels stored, not compressed: the length depends on size and depth alone.

    A compressed file of an attacked image is longer, since noise does not compress; this one is not. RunError where
    the bytes are no PNG that ``encode`` wrote.
    """
    parts = chunks(png)
    try:
        pixels = zlib.decompress(b"".join(content for kind, content in parts if kind == b"IDAT"))
    except zlib.error as error:
        raise _foreign(error) from error
    header = next((content for kind, content in parts if kind == b"IHDR"), b"")
    made = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels, 0)), (b"IEND", b"")]
    return png[:8] + b"".join(_chunk(kind, content) for kind, content in made)


def padded(png: bytes, length: int) -> bytes:
    """The same picture in a file of ``length`` bytes: a chunk that no program shows (``prVt``) holds zeros before IEND.

    RunError where the file is too long (a chunk needs 12 bytes) or the bytes are no PNG.
    """
    room = length - len(png) - 12
    end = png.rfind(b"\x00\x00\x00\x00IEND")
    if room < 0 or end < 0 or not chunks(png):
        raise RunError(
            "an image cannot be padded",
            value=f"{len(png)} bytes to {length}",
            allowed=f"a PNG, and {len(png) + 12} bytes or more",
            next_step="pad to the longest file and 12 bytes",
        )
    return png[:end] + _chunk(b"prVt", bytes(room)) + png[end:]


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of every chunk of a PNG, in order; RunError where the bytes are none."""
    place, found = 8, []
    try:
        while place < len(png):
            size, kind = struct.unpack(">I4s", png[place : place + 8])
            found.append((kind, png[place + 8 : place + 8 + size]))
            place += size + 12
    except struct.error as error:
        raise _foreign(error) from error
    return found


def _foreign(error: Exception) -> RunError:
    return RunError("a stored image is not a PNG of Percuss", value=error, next_step="run percuss audit again")


def slug(case_id: str) -> str:
    """The file name (without ending) of an image id: slashes become two underscores."""
    return case_id.replace("\\", "__").replace("/", "__")


def pixel_hash(png: bytes) -> str:
    """SHA-256 (hex) of size, depth and pixels of a PNG that ``encode`` wrote, whatever its compression.

    Equal images give equal text, also where another version of the compressing library wrote them. RunError where
    the bytes are no such PNG.
    """
    digest, packed = hashlib.sha256(), b""
    for kind, content in chunks(png):
        packed += content if kind == b"IDAT" else b""
        digest.update(content if kind == b"IHDR" else b"")
    try:
        digest.update(zlib.decompress(packed))
    except zlib.error as error:
        raise _foreign(error) from error
    return digest.hexdigest()
