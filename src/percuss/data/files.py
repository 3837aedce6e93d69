"""Images that lie on disk as one file each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, Task
from percuss.data.decode import Reading, decode, decode_mask
from percuss.data.splits import choose


class FileSet(ImageSet):
    """Cases whose entry's ``source`` is the path of an image file; masks, where there are, by id."""

    def __init__(
        self,
        spec: str,
        task: Task,
        classes: Sequence[str],
        *,
        entries: Sequence[Entry],
        how: Reading,
        masks: Mapping[str, Path],
    ) -> None:
        super().__init__(spec, task, classes, entries)
        self._how, self.masks = how, masks

    def read(self, case_id: str) -> Case:
        """Decode one file (and its mask). DataError where it is missing, damaged or not as declared."""
        entry = self.entry(case_id)
        pixels, levels = decode(content(Path(entry.source), case_id), case_id, self._how)
        mask = None
        if case_id in self.masks:
            mask = decode_mask(content(self.masks[case_id], case_id), case_id, self._how.size)
            if mask.shape != pixels.shape[1:]:
                raise DataError(
                    f"the mask of {case_id} has another size", value=mask.shape, allowed=f"{pixels.shape[1:]}"
                )
        target = entry.target if isinstance(entry.target, int) else np.array(entry.target)
        return Case(case_id, pixels, levels, target, mask=mask, group=entry.group)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the file, its mask, label and group, and the reading options."""
        entry = self.entry(case_id)
        digest = hashlib.sha256(repr((self._how, entry.target, entry.group)).encode())
        digest.update(hashlib.sha256(content(Path(entry.source), case_id)).digest())
        if case_id in self.masks:
            digest.update(hashlib.sha256(content(self.masks[case_id], case_id)).digest())
        return digest.hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> FileSet:
        """The same set limited to a split or to some ids, order kept."""
        chosen = choose(self.entries, split, ids)
        found = type(self)(self.spec, self.task, self.classes, entries=chosen, how=self._how, masks=self.masks)
        found.dropped = self.dropped
        return found


def content(path: Path, name: str) -> bytes:
    """The bytes of a file of image ``name``; DataError where it cannot be opened."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"the file of image {name} cannot be opened",
            value=error.strerror or str(error),
            next_step=f"check that {path} exists and may be read",
        ) from error
