"""A set whose cases are parts of files: frames, slices, patches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from percuss.core.images import Case, Entry, ImageSet, PixelRange, Task
from percuss.data.splits import choose


@dataclass(frozen=True)
class Picture:
    """What a reader finds for one id: pixels ``[1 or 3, H, W]``, range, mask ``[H, W]`` and spacing (mm)."""

    pixels: np.ndarray[Any, Any]
    range: PixelRange
    mask: np.ndarray[Any, Any] | None = None
    spacing_mm: tuple[float, float] | None = None


class ItemSet(ImageSet):
    """Cases that ``load`` reads by id; ``how`` are the reading options."""

    def __init__(
        self,
        spec: str,
        task: Task,
        classes: Sequence[str],
        *,
        entries: Sequence[Entry],
        load: Callable[[str], Picture],
        how: object,
    ) -> None:
        super().__init__(spec, task, classes, entries)
        self._load, self._how = load, how

    def read(self, case_id: str) -> Case:
        """Read one case. DataError where its file is missing, damaged or not as declared."""
        entry = self.entry(case_id)
        found = self._load(case_id)
        target = entry.target if isinstance(entry.target, int) else np.array(entry.target)
        return Case(case_id, found.pixels, found.range, target, found.mask, entry.group, found.spacing_mm)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the pixels, mask and range as read, label and group, and the reading options.

        Of what was read and not of the file: a slice or a patch is a small part of files of gigabytes.
        """
        entry, found = self.entry(case_id), self._load(case_id)
        parts = (self._how, entry.target, entry.group, found.range, found.pixels.shape, str(found.pixels.dtype))
        digest = hashlib.sha256(repr(parts).encode())
        digest.update(np.ascontiguousarray(found.pixels).tobytes())
        if found.mask is not None:
            digest.update(np.ascontiguousarray(found.mask).tobytes())
        return digest.hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> ItemSet:
        """The same set limited to a split or to some ids, order kept."""
        chosen = choose(self.entries, split, ids)
        found = ItemSet(self.spec, self.task, self.classes, entries=chosen, load=self._load, how=self._how)
        found.dropped = self.dropped
        return found
