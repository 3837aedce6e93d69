"""Image files of a study: one PNG, or the tiles of a large case, of one length whatever they show."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

from percuss.core.errors import RunError
from percuss.store.blind import stamp
from percuss.store.png import padded
from percuss.store.safe import sha256_of, write_bytes
from percuss.study.canonical import digest

#: A PNG, or the tiles of a large case by their place in its folder (``0/0_0.png``).
Picture: TypeAlias = bytes | Mapping[str, bytes]
K = TypeVar("K")


def even(pictures: Mapping[K, bytes]) -> dict[K, bytes]:
    """The same PNGs, all of one length: that of the longest, or what its padding needs at least.

    Raises:
        RunError: one of them is no PNG.
    """
    longest = max(map(len, pictures.values()), default=0)
    # A chunk needs 12 bytes: a file that lacks fewer could not be brought to the longest, so all get one.
    return {name: padded(picture, longest + 12) for name, picture in pictures.items()}


def sha_of(picture: Picture) -> str:
    """SHA-256 (hex) that stands for a picture: of the file, or of the canonical table of its tiles' hashes."""
    if isinstance(picture, bytes):
        return hashlib.sha256(picture).hexdigest()
    return digest({place: hashlib.sha256(picture[place]).hexdigest() for place in picture})


def sha_at(path: Path) -> str:
    """As ``sha_of``, of a picture as it lies in the study; RunError where it is missing or cannot be read."""
    if path.is_dir():
        tiles = sorted(tile for tile in path.rglob("*") if tile.is_file())
        return digest({tile.relative_to(path).as_posix(): sha256_of(tile) for tile in tiles})
    return sha256_of(path)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture; every file gets one time and mode. RunError where it cannot be written."""
    files = {path: picture} if isinstance(picture, bytes) else {path / place: picture[place] for place in picture}
    for file, content in files.items():
        write_bytes(file, content)
        stamp(file)


def file_name(stem: str, picture: Picture) -> str:
    """How a picture is called in the study: with ``.png`` where it is one file."""
    if not stem or set(stem) - set("0123456789abcdef"):
        raise RunError("a picture's name is not plain hex digits", value=stem, next_step="draw another")
    return f"{stem}.png" if isinstance(picture, bytes) else stem
