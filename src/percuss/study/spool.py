"""Pictures on the disk until a study is written, so that its size is no matter of memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import RunError
from percuss.store.safe import disk_errors
from percuss.study.pictures import Picture, sha_of


@dataclass(frozen=True)
class _Kept:
    """Where a picture lies: its first byte, and place and length of each tile; a single file has no name."""

    start: int
    parts: tuple[tuple[str, int], ...]


class Spool(Mapping[str, Picture]):
    """Pictures by their SHA-256 (``pictures.sha_of``), kept in one file and read back one at a time.

    One file, and no file for each: the numbers that a disk gives to files, and their times, would tell in which order
    pictures were made, and so their arms.
    """

    def __init__(self, path: Path) -> None:
        """Begin a new file that only its owner may read; RunError where it cannot be made."""
        self._path, self._end = path, 0
        self._kept: dict[str, _Kept] = {}
        self._parts: tuple[tuple[str, int], ...] = ()
        with disk_errors(path):
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")

    def __enter__(self) -> Spool:
        """The spool itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, which stays."""
        self._file.close()

    def add(self, picture: Picture) -> str:
        """Keep a picture; its SHA-256. RunError where the disk is full or cannot be written."""
        sha = sha_of(picture)
        if sha in self._kept:
            return sha
        files = {"": picture} if isinstance(picture, bytes) else picture
        parts = tuple((place, len(content)) for place, content in files.items())
        if parts != self._parts:  # tiles of all cases have the same places: kept once
            self._parts = parts
        with disk_errors(self._path):
            self._file.seek(self._end)
            for content in files.values():
                self._file.write(content)
            self._file.flush()
        self._kept[sha] = _Kept(self._end, self._parts)
        self._end += sum(length for _, length in parts)
        return sha

    def check_room(self, pictures: int) -> None:
        """RunError where the disk cannot take so many further pictures as large as those that are here."""
        needed, free = pictures * self._end // max(1, len(self)), shutil.disk_usage(self._path.parent).free
        if needed > free:
            raise RunError(
                "the disk has no room for the study",
                value=f"{needed / 2**20:.0f} MiB more are needed, {free / 2**20:.0f} MiB are free",
                allowed="twice the size of all files while it is made",
                next_step="free some space, ask for fewer --cases, or give an --out on another disk",
            )

    def __getitem__(self, sha: str) -> Picture:
        """The picture of this SHA-256; KeyError where there is none, RunError where it reads back otherwise."""
        kept, files = self._kept[sha], {}
        with disk_errors(self._path):
            self._file.seek(kept.start)
            for place, length in kept.parts:
                files[place] = self._file.read(length)
        picture: Picture = files.get("", files)
        if sha_of(picture) != sha:
            raise RunError("what was written reads back differently", value=self._path, next_step="check the disk")
        return picture

    def __iter__(self) -> Iterator[str]:
        """Every SHA-256, in the order of adding."""
        return iter(self._kept)

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self._kept)
