"""Maps of numbered nuclei judged nucleus by nucleus: panoptic quality, AJI and detection F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, optimize

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.evaluate.dense import check_maps

Map = np.ndarray[Any, Any]
Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class InstanceCounts:
    """Sums over the nuclei of an image; ``+`` joins images, so that the scores are those of all together.

    Attributes:
        hits: pairs of a true and a found nucleus with an IoU above one half (each has at most one such partner).
        false_alarms, misses: found and true nuclei without one.
        iou: sum of the IoU of the pairs.
        overlap, union: pixels of the aggregated Jaccard index, each true nucleus with its best found one.
        overlap_single, union_single: likewise with each found nucleus given to one true nucleus only (AJI+).
    """

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    iou: float = 0.0
    overlap: int = 0
    union: int = 0
    overlap_single: int = 0
    union_single: int = 0

    def __add__(self, other: InstanceCounts) -> InstanceCounts:
        return InstanceCounts(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @property
    def detection(self) -> float:
        """Detection quality, the F1 of nuclei found at an IoU above one half; NaN without any nucleus."""
        return _share(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)

    @property
    def segmentation(self) -> float:
        """Segmentation quality: mean IoU of the pairs; NaN without a pair."""
        return _share(self.iou, self.hits)

    @property
    def panoptic(self) -> float:
        """Panoptic quality, detection times segmentation (Kirillov et al. 2019); NaN without any nucleus."""
        return _share(2 * self.iou, 2 * self.hits + self.false_alarms + self.misses)

    @property
    def aji(self) -> float:
        """Aggregated Jaccard index (Kumar et al. 2017); NaN without any nucleus."""
        return _share(self.overlap, self.union)

    @property
    def aji_plus(self) -> float:
        """AJI with one-to-one pairs of the largest sum of IoU (Graham et al. 2019); NaN without any nucleus."""
        return _share(self.overlap_single, self.union_single)


def count_instances(prediction: Map, truth: Map, *, judged: Map | None = None) -> InstanceCounts:
    """Compare two maps of numbered nuclei.

    Args:
        prediction, truth: whole numbers ``[H, W]``, 0 background; numbers need not run through.
        judged: bool ``[H, W]``; pixels outside count nowhere. Everything where None.

    Raises:
        DataError: shapes that differ, no whole numbers, numbers below zero.
    """
    check_maps(prediction, truth, dims=2)
    if min(int(truth.min(initial=0)), int(prediction.min(initial=0))) < 0:
        raise DataError("numbers of nuclei must not be below zero", allowed="0 for background, 1 and above for nuclei")
    if judged is not None:
        if judged.shape != truth.shape or judged.dtype != np.bool_:
            raise DataError("the judged pixels do not fit the maps", value=f"{judged.dtype} {judged.shape}")
        prediction, truth = np.where(judged, prediction, 0), np.where(judged, truth, 0)
    table = _overlaps(truth, prediction)
    overlap = table[1:, 1:]
    of_true, of_found = table.sum(1)[1:], table.sum(0)[1:]
    union = of_true[:, None] + of_found[None, :] - overlap
    ious: Values = overlap / np.maximum(union, 1)
    pairs = ious > 0.5
    hits = int(pairs.sum())
    best = _best(ious)
    single = _single(ious)
    return InstanceCounts(
        hits=hits,
        false_alarms=len(of_found) - hits,
        misses=len(of_true) - hits,
        iou=float(ious[pairs].sum()),
        **dict(zip(("overlap", "union"), _aggregated(table, best), strict=True)),
        **dict(zip(("overlap_single", "union_single"), _aggregated(table, single), strict=True)),
    )


def _overlaps(truth: Map, prediction: Map) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Pixels shared by each true and each found nucleus; the first row and column are the background's."""
    tables = []
    for values in (truth, prediction):
        names, places = np.unique(np.append(0, values), return_inverse=True)
        tables.append((len(names), places.reshape(-1)[1:]))
    (rows, row), (columns, column) = tables
    found: np.ndarray[Any, np.dtype[np.int64]] = np.bincount(row * columns + column, minlength=rows * columns)
    return found.reshape(rows, columns)


def _best(ious: Values) -> list[tuple[int, int]]:
    """Each true nucleus with the found one of the largest IoU; one may serve several."""
    if not ious.size:
        return []
    return [(row, int(values.argmax())) for row, values in enumerate(ious) if values.max() > 0]


def _single(ious: Values) -> list[tuple[int, int]]:
    rows, columns = optimize.linear_sum_assignment(ious, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if ious[row, column] > 0]


def _aggregated(table: np.ndarray[Any, np.dtype[np.int64]], pairs: list[tuple[int, int]]) -> tuple[int, int]:
    """Pixels of overlap and union over the pairs; nuclei without a partner add to the union."""
    of_true, of_found = table.sum(1)[1:], table.sum(0)[1:]
    overlap = sum(int(table[row + 1, column + 1]) for row, column in pairs)
    union = sum(int(of_true[row] + of_found[column] - table[row + 1, column + 1]) for row, column in pairs)
    union += int(np.delete(of_true, [row for row, _ in pairs]).sum())
    union += int(np.delete(of_found, sorted({column for _, column in pairs})).sum())
    return overlap, union


def components(classes: Map, *, smallest: int = 1) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Numbers for the connected parts (sides and corners) of each class of a class map ``[H, W]``.

    For models that decide classes only: nuclei of a class that touch become one. Parts of fewer than ``smallest``
    pixels become background, as do pixels of 255.
    """
    found = np.zeros(classes.shape, dtype=np.int32)
    last = 0
    for value in np.unique(classes):
        if value in (0, IGNORE):
            continue
        parts, _ = ndimage.label(classes == value, np.ones((3, 3)))
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        kept = np.nonzero(sizes >= max(1, smallest))[0]
        number = np.zeros(len(sizes), dtype=np.int32)
        number[kept] = np.arange(last + 1, last + 1 + len(kept))
        found += number[parts]
        last += len(kept)
    return found


def _share(part: float, of: float) -> float:
    return part / of if of else float("nan")
