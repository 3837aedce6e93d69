"""The masks of PanNuke as one map of kinds and one of nuclei for each patch, read row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from percuss.core.class_maps import check_map
from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet
from percuss.data.arrays import changed, row_of
from percuss.data.decode import Pixels, Reading, nearest_mask, shape
from percuss.data.pannuke_folds import levels, mapped
from percuss.data.splits import choose

#: Kinds of nuclei by channel of the masks; the sixth channel is background and no kind.
NUCLEI = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
#: Note on a patch of which some pixel is in two channels; the lower one stands.
OVERLAP = "overlapping channels"


class MapsOfRows(ImageSet):
    """Patches with the kind of nucleus at each pixel; ``masks`` is the file of masks of each file of images.

    Files stay on disk: ``read`` takes one row of each (3 MB of float64 masks at 256 pixels).
    """

    def __init__(self, spec: str, entries: Sequence[Entry], *, masks: Mapping[str, Path], how: Reading) -> None:
        super().__init__(spec, "segment", ("background", *NUCLEI), entries)
        self._masks, self._how = masks, how

    def read(self, case_id: str) -> Case:
        """One patch with both maps, resized where asked (maps by nearest neighbour). DataError where it is unusable."""
        entry = self.entry(case_id)
        stored = levels(np.asarray(mapped(Path(entry.source))[row_of(entry)]), case_id)
        pixels, native = shape(stored, case_id, self._how)
        target, nuclei, overlap = _maps(self._mask(entry), case_id)
        if self._how.size is not None:
            target, nuclei = nearest_mask(target, self._how.size), nearest_mask(nuclei, self._how.size)
        check_map(case_id, target, nuclei, size=pixels.shape[1:], classes=len(self.classes))
        notes = (OVERLAP,) if overlap else ()
        return Case(case_id, pixels, native, target, group=entry.group, instances=nuclei, notes=notes)

    def _mask(self, entry: Entry) -> Pixels:
        return np.asarray(mapped(self._masks[entry.source])[row_of(entry)])

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the row as stored in both files, its types of number, and the reading options."""
        entry = self.entry(case_id)
        digest = hashlib.sha256(repr((self._how, entry.group)).encode())
        for part in (levels(np.asarray(mapped(Path(entry.source))[row_of(entry)]), case_id), self._mask(entry)):
            digest.update(f"{part.shape} {part.dtype.str}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> MapsOfRows:
        """The same set limited to a split or to some ids, order kept."""
        found = MapsOfRows(self.spec, choose(self.entries, split, ids), masks=self._masks, how=self._how)
        found.dropped = self.dropped
        return found


def _maps(mask: Pixels, name: str) -> tuple[Pixels, Pixels, bool]:
    """Kinds uint8, numbers of nuclei int32 (1, 2, ... over all channels), and whether channels overlap."""
    kept = mask[..., : len(NUCLEI)]
    if not bool(np.isfinite(kept).all()) or bool((kept != np.rint(kept)).any()) or bool((kept < 0).any()):
        raise DataError(
            f"the masks of image {name} hold more than numbers of nuclei",
            value=f"{float(kept.min()):g} to {float(kept.max()):g}",
            allowed="whole numbers of 0 and above in each channel, in any type",
            next_step="take masks.npy as distributed",
        )
    target = kinds(mask).astype(np.uint8)
    nuclei, count = np.zeros(target.shape, dtype=np.int32), 0
    for channel in range(len(NUCLEI)):
        own = target == channel + 1
        numbers, place = np.unique(kept[..., channel][own], return_inverse=True)
        nuclei[own] = place.reshape(-1) + 1 + count
        count += len(numbers)
    return target, nuclei, bool(((kept > 0).sum(-1) > 1).any())


def kinds(mask: Pixels) -> Pixels:
    """Instance masks ``[H, W, 6]`` as one map ``[H, W]``, int64: 0 background, 1 + index in ``NUCLEI``.

    Channels may overlap; the lower number wins, so that tumour is never hidden. The background channel is not read.
    """
    found = np.zeros(mask.shape[:2], dtype=np.int64)
    for channel in reversed(range(len(NUCLEI))):
        found[mask[..., channel] > 0] = channel + 1
    return found


def counts(path: Path, rows: tuple[int, ...]) -> tuple[tuple[int, bool], ...]:
    """For each row of a file of masks: neoplastic nuclei (distinct numbers above zero), and whether there is any."""
    return _counts(path, rows, changed(path))


@lru_cache(maxsize=24)
def _counts(path: Path, rows: tuple[int, ...], _changed: int) -> tuple[tuple[int, bool], ...]:
    masks = mapped(path)
    found = []
    for row in rows:
        mask = np.asarray(masks[row])
        found.append((int((np.unique(mask[..., 0]) > 0).sum()), bool((mask[..., : len(NUCLEI)] > 0).any())))
    return tuple(found)
