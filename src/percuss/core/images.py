"""Images as they come from disk: native values with their range and unit, and the set that holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from percuss.core.class_maps import EMPTY, cells_of, check_map, shows_nothing
from percuss.core.errors import DataError, nearest
from percuss.core.pixel_range import PixelRange as PixelRange  # noqa: PLC0414 - it is found here too

Task = Literal["classify", "multilabel", "segment", "heatmap"]
#: Tasks with a decision at every place: each pixel, or each cell of some pixels.
DENSE: frozenset[Task] = frozenset({"segment", "heatmap"})


@dataclass(frozen=True)
class Case:
    """One image with what is known of it.

    Attributes:
        id: stable name within its set.
        pixels: native values, ``[channels, height, width]``, numpy, integer where stored as integer.
        range: native range and unit of the pixels.
        target: class index (classify), 0/1 vector (multilabel), or class map uint8 ``[height, width]`` (segment; 0 is
            the background, 255 not judged); of a heat map one value per cell, ``[height / cell, width / cell]``.
        mask: integer mask ``[height, width]`` or ``[channels, height, width]`` where there is one.
        instances: number of the nucleus (or other thing) at each pixel, int32 ``[height, width]``, 0 for none; None
            where only classes are known.
        group: patient (or other unit that must not be divided), None where unknown.
        spacing_mm: pixel spacing (row, column) in millimetres where known.
        notes: what the reader found odd and settled by a rule, a few words each, such as ``overlapping channels``.
    """

    id: str
    pixels: np.ndarray[Any, Any]
    range: PixelRange
    target: int | np.ndarray[Any, Any]
    mask: np.ndarray[Any, Any] | None = None
    group: str | None = None
    spacing_mm: tuple[float, float] | None = None
    instances: np.ndarray[Any, Any] | None = None
    notes: tuple[str, ...] = ()

    def unit(self) -> Tensor:
        """Pixels as float32 in [0, 1], ``[channels, height, width]``; raises DataError on NaN or out of range."""
        values = torch.from_numpy(np.ascontiguousarray(self.pixels, dtype=np.float64))
        if not bool(torch.isfinite(values).all()):
            raise DataError(
                f"image {self.id} holds NaN or infinite pixels",
                allowed="finite values",
                next_step="mend or remove the file",
            )
        if float(values.min()) < self.range.low or float(values.max()) > self.range.high:
            raise DataError(
                f"image {self.id} leaves its declared range",
                value=f"{float(values.min()):g} to {float(values.max()):g}",
                allowed=f"{self.range.low:g} to {self.range.high:g} {self.range.unit}",
                next_step="declare the true range (for instance ?bits=12 behind the data spec)",
            )
        return ((values - self.range.low) / self.range.span).to(torch.float32)


@dataclass(frozen=True)
class BadImage:
    """An image that could not be used, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """What a set knows of a case before its pixels are read."""

    id: str
    target: int | tuple[int, ...]
    split: str | None = None
    group: str | None = None
    source: str = ""


@dataclass
class Tensors:
    """Images that could be read, stacked, with the list of those that could not.

    ``region``, bool ``[N, H, W]``, is where attacks may change pixels; everywhere where None. ``instances``, int32
    ``[N, H, W]``, are the numbers of things at each pixel; None where they are not known of every image. ``notes``
    are the ids of the images that each note of ``noted`` holds for. ``scored``: of heat maps, whose scores count and
    not their decisions alone.
    """

    ids: list[str]
    images: Tensor
    targets: Tensor
    groups: list[str | None]
    range: PixelRange
    bad: list[BadImage] = field(default_factory=list)
    region: Tensor | None = None
    instances: Tensor | None = None
    notes: dict[str, list[str]] = field(default_factory=dict)
    scored: bool = False

    def some(self, rows: Sequence[int]) -> Tensors:
        """The images at these rows, in this order; what is said of the whole stays."""
        at = list(rows)
        return replace(
            self,
            ids=[self.ids[row] for row in at],
            images=self.images[at],
            targets=self.targets[at],
            groups=[self.groups[row] for row in at],
            region=None if self.region is None else self.region[at],
            instances=None if self.instances is None else self.instances[at],
        )


class ImageSet(ABC):
    """Ordered cases with stable ids. Readers implement ``read`` and fill ``entries``.

    Attributes:
        spec: the text it was loaded from.
        task: ``classify`` (one class index), ``multilabel`` (0/1 vector), ``segment`` (a class for every pixel) or
            ``heatmap`` (one of two classes for every cell).
        classes: class names in index order.
        entries: the cases in order, of the chosen split.
        dropped: how many cases the reader left out of the whole set, by reason; empty for most readers.
        cell: side in pixels of what one value of a class map stands for; 1 but for heat maps.
        partial: groups (slides) whose outlines are known to leave out tumour.
    """

    dropped: Mapping[str, int] = MappingProxyType({})
    cell: int = 1
    partial: tuple[str, ...] = ()

    def __init__(self, spec: str, task: Task, classes: Sequence[str], entries: Sequence[Entry]) -> None:
        self.spec, self.task, self.classes, self.entries = spec, task, tuple(classes), tuple(entries)
        self._index = {entry.id: entry for entry in self.entries}

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in order."""
        return tuple(entry.id for entry in self.entries)

    def entry(self, case_id: str) -> Entry:
        """The entry of one id; DataError with the nearest ids where unknown."""
        if case_id not in self._index:
            raise DataError("no such image in the set", value=case_id, allowed=nearest(case_id, self.ids))
        return self._index[case_id]

    @abstractmethod
    def read(self, case_id: str) -> Case:
        """Read one case. Raises DataError where the image cannot be used."""

    @abstractmethod
    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of what decides this case: stored bytes or recipe, and the reading options."""

    @abstractmethod
    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> ImageSet:
        """The same set limited to a split or to some ids, order kept."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits present, in order of first appearance."""
        return tuple(dict.fromkeys(entry.split for entry in self.entries if entry.split is not None))

    def tensors(self, limit: int | None = None) -> tuple[Tensor, Tensor]:
        """Images float32 ``[N, C, H, W]`` in [0, 1] and targets.

        Targets are long ``[N]``, for multilabel float ``[N, K]``, for segment uint8 ``[N, H, W]``, for heatmap
        uint8 ``[N, H / cell, W / cell]``.

        Raises the first reading error; ``collect`` records bad images instead. With ``limit`` the first
        cases of a fixed spread over the whole set are taken, so every class has its share.
        """
        got = self.collect(self.ids if limit is None else self.spread(limit))
        if got.bad:
            raise DataError(
                f"{len(got.bad)} of {len(self)} images cannot be used, first",
                value=f"{got.bad[0].id} ({got.bad[0].reason})",
                next_step="mend or remove them, or audit the set: an audit records and skips them",
            )
        return got.images, got.targets

    def spread(self, limit: int) -> tuple[str, ...]:
        """At most ``limit`` ids: a seeded draw that gives every class its share, in set order."""
        from percuss.core.seeds import seed_of

        if limit < 1:
            raise DataError("a limit must be at least 1", value=limit)
        by_class: dict[object, list[str]] = {}
        for entry in self.entries:
            by_class.setdefault(entry.target, []).append(entry.id)
        # One rank per class and a fixed shuffle within: the first n are balanced whatever n is.
        ranked = [
            (rank, seed_of("spread", name), name)
            for names in by_class.values()
            for rank, name in enumerate(sorted(names, key=lambda n: seed_of("spread", n)))
        ]
        kept = {name for _, _, name in sorted(ranked)[:limit]}
        return tuple(name for name in self.ids if name in kept)

    def collect(self, ids: Sequence[str]) -> Tensors:
        """Read some cases; what cannot be read, or differs from most in size or range, is listed as bad."""
        good: list[tuple[Case, Tensor]] = []
        bad: list[BadImage] = []
        for name in ids:
            try:
                case = self.read(name)
                pixels = case.unit()
                if self.task in DENSE:
                    size = cells_of(case.pixels.shape[1:], self.cell)
                    check_map(case.id, case.target, case.instances, size=size, classes=len(self.classes))
                good.append((case, pixels))
            except DataError as error:
                bad.append(BadImage(name, str(error)))
        good, odd = _same_shape(good)
        return Tensors(
            ids=[case.id for case, _ in good],
            images=torch.stack([pixels for _, pixels in good]) if good else torch.zeros(0, 0, 0, 0),
            targets=stacked_targets([case.target for case, _ in good], self.task),
            groups=[case.group for case, _ in good],
            range=good[0][0].range if good else PixelRange(),
            bad=bad + odd,
            instances=stacked_instances([case for case, _ in good]),
            notes=noted([case for case, _ in good]),
            scored=self.task == "heatmap",
        )


def stacked_instances(cases: Sequence[Case]) -> Tensor | None:
    """Numbers of things of some cases of one size, int32 ``[N, H, W]``; None where a case has none."""
    found = [case.instances for case in cases if case.instances is not None]
    if not found or len(found) < len(cases):
        return None
    return torch.from_numpy(np.stack(found).astype(np.int32))


def noted(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Ids by note: those of the readers, and ``EMPTY`` for images whose class map shows background alone."""
    found: dict[str, list[str]] = {}
    for case in cases:
        for note in (*case.notes, *([EMPTY] if shows_nothing(case.target) else [])):
            found.setdefault(note, []).append(case.id)
    return found


def stacked_targets(values: Sequence[int | np.ndarray[Any, Any]], task: Task) -> Tensor:
    """Targets of some cases as a tensor: long ``[N]``, float ``[N, K]`` (multilabel) or uint8 ``[N, H, W]``
    (class maps)."""
    if task == "classify":
        return torch.tensor([int(value) for value in values], dtype=torch.long)
    if task in DENSE:
        return torch.from_numpy(np.stack([np.asarray(value) for value in values])) if values else torch.zeros(0, 0, 0)
    if not values:
        return torch.zeros(0, 0)
    return torch.tensor(np.stack([np.asarray(value) for value in values]), dtype=torch.float32)


def _same_shape(pairs: list[tuple[Case, Tensor]]) -> tuple[list[tuple[Case, Tensor]], list[BadImage]]:
    """Split off the images whose shape or native range is not that of most."""
    counts: dict[tuple[object, PixelRange], int] = {}
    for case, pixels in pairs:
        counts[(tuple(pixels.shape), case.range)] = counts.get((tuple(pixels.shape), case.range), 0) + 1
    if len(counts) <= 1:
        return pairs, []
    usual = max(counts, key=lambda key: counts[key])
    keep, odd = [], []
    for case, pixels in pairs:
        if (tuple(pixels.shape), case.range) == usual:
            keep.append((case, pixels))
        else:
            odd.append(
                BadImage(
                    case.id,
                    f"image {case.id} is {tuple(pixels.shape)} in {case.range.levels} levels; most are "
                    f"{usual[0]} in {usual[1].levels}. Next: give one size explicitly, for instance ?size=224",
                )
            )
    return keep, odd
