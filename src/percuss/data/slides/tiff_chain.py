"""Whether all directories of a TIFF are there: a file that was cut off loses its last levels without other signs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from percuss.core.errors import DataError

# Slides have tens of directories; a chain that goes on is a circle.
_MOST = 10_000


def check_chain(path: Path, stream: BinaryIO) -> None:
    """Follow the directories of a TIFF or BigTIFF from the first to the last.

    Args:
        path: the file, for errors and its size.
        stream: the file, open for reading in bytes; its place is changed.

    Raises:
        DataError: a directory lies beyond the end of the file, or they lead in a circle.
    """
    size = path.stat().st_size
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    # Format and width of an offset and of the number of entries, and the width of an entry.
    offset_as, width, count_as, counted, entry = ("Q", 8, "Q", 8, 20) if big else ("I", 4, "H", 2, 12)
    try:
        place = struct.unpack_from(order + offset_as, head, 8 if big else 4)[0]
        for _ in range(_MOST):
            if not place:
                return
            stream.seek(place)
            (entries,) = struct.unpack(order + count_as, stream.read(counted))
            stream.seek(place + counted + entries * entry)
            (place,) = struct.unpack(order + offset_as, stream.read(width))
    except (struct.error, OverflowError, OSError):
        raise DataError(
            "the slide is truncated",
            value=f"{path}: a directory of its levels lies beyond its {size} bytes",
            next_step="copy or download the file again and compare its checksum",
        ) from None
    raise DataError("the directories of the file lead in a circle", value=path, next_step="the file is damaged")
