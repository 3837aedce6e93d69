"""Images that lie on disk as rows of arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, Task
from percuss.data.decode import Pixels, Reading, nearest_mask, shape
from percuss.data.splits import choose

#: Gives the pixels ``[1 or 3, height, width]`` of an entry, uint8 or uint16, and its mask ``[height, width]`` or None.
Stored = Callable[[Entry], tuple[Pixels, Pixels | None]]


class ArraySet(ImageSet):
    """Cases that ``stored`` fetches by entry; ids are ``PART/NUMBER``."""

    def __init__(
        self, spec: str, task: Task, classes: Sequence[str], *, entries: Sequence[Entry], how: Reading, stored: Stored
    ) -> None:
        super().__init__(spec, task, classes, entries)
        self._how, self._stored = how, stored

    def read(self, case_id: str) -> Case:
        """One image and its mask, with the reading options applied. DataError where it cannot be used."""
        entry = self.entry(case_id)
        pixels, mask = self._stored(entry)
        pixels, levels = shape(pixels, case_id, self._how)
        if mask is not None and self._how.size is not None:
            mask = nearest_mask(mask, self._how.size)
        target = entry.target if isinstance(entry.target, int) else np.array(entry.target)
        return Case(case_id, pixels, levels, target, mask=mask, group=entry.group)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the stored values, their shape, the mask, label and group, and the reading options."""
        entry = self.entry(case_id)
        pixels, mask = self._stored(entry)
        digest = hashlib.sha256(repr((self._how, entry.target, entry.group, pixels.shape, pixels.dtype.str)).encode())
        for part in (pixels, mask):
            if part is not None:
                digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> ArraySet:
        """The same set limited to a split or to some ids, order kept."""
        chosen = choose(self.entries, split, ids)
        found = ArraySet(self.spec, self.task, self.classes, entries=chosen, how=self._how, stored=self._stored)
        found.dropped = self.dropped
        return found


def row_of(entry: Entry) -> int:
    """The number behind the last slash of an id ``PART/NUMBER``."""
    return int(entry.id.rpartition("/")[2])


def changed(path: Path) -> int:
    """Time of the last change in nanoseconds, by which a rewritten file is read anew. DataError where it is gone."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise DataError("the file cannot be opened", value=str(path), next_step="check that it may be read") from error


def folder_of(location: str, scheme: str) -> Path:
    """The folder that a data spec names; DataError where there is none."""
    root = Path(location).expanduser()
    if not root.is_dir():
        raise DataError(
            f"the {scheme} folder does not exist", value=location, next_step=f"check the path behind {scheme}:"
        )
    return root
