"""Images as files with a class for every pixel, whole or cut into tiles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from percuss.core.class_maps import check_map
from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.data.decode import Pixels, Reading, decode, nearest_mask, shape
from percuss.data.files import content
from percuss.data.map_files import as_classes, as_instances, read_map
from percuss.data.splits import choose

#: Pixels and their range, class map, and numbers of things.
_Whole = tuple[Pixels, PixelRange, Pixels, Pixels | None]


@dataclass(frozen=True)
class Part:
    """The files of one case; its upper left corner (row, column) and side in pixels where it is a tile."""

    classes: Path | None
    instances: Path | None
    corner: tuple[int, int] | None = None
    tile: int | None = None


@dataclass(frozen=True)
class MapReading:
    """How maps are read: the reading options of the images, and the value that stands for pixels not judged."""

    images: Reading
    ignore: int | None = None


class MapSet(ImageSet):
    """Cases whose entry's ``source`` is an image file; ``parts`` tells their maps by id.

    ``size`` resizes the image with antialiasing and its maps by nearest neighbour, after the tile was cut. Without a
    file of classes, what has a number is of class 1.
    """

    def __init__(
        self,
        spec: str,
        classes: Sequence[str],
        *,
        entries: Sequence[Entry],
        parts: Mapping[str, Part],
        how: MapReading,
    ) -> None:
        super().__init__(spec, "segment", classes, entries)
        self._parts, self._how = parts, how
        self._kept: tuple[object, _Whole] | None = None
        self._hashes: dict[tuple[Path, int | None], bytes] = {}

    def read(self, case_id: str) -> Case:
        """Decode an image with its maps. DataError where a file is missing, damaged, or does not fit the others."""
        entry, part, how = self.entry(case_id), self._parts[case_id], self._how.images
        pixels, levels, target, instances = self._whole(case_id, Path(entry.source), part)
        if part.corner is not None and part.tile is not None:
            row, column = part.corner
            place = (..., slice(row, row + part.tile), slice(column, column + part.tile))
            pixels, target = pixels[place].copy(), target[place].copy()  # a view would hold the whole image
            instances = None if instances is None else instances[place].copy()
        pixels, levels = shape(pixels, case_id, replace(how, alpha=None))
        if how.size is not None:
            target = nearest_mask(target, how.size)
            instances = None if instances is None else nearest_mask(instances, how.size)
        check_map(case_id, target, instances, size=pixels.shape[1:], classes=len(self.classes))
        return Case(case_id, pixels, levels, target, group=entry.group, instances=instances)

    def _whole(self, name: str, source: Path, part: Part) -> _Whole:
        """Image, its range, class map and numbers before any tile is cut; the last image cut into tiles is kept."""
        key = tuple((path, _changed(path)) for path in (source, part.classes, part.instances))
        if part.corner is not None and self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        plain = replace(self._how.images, size=None, stretch=False, sharpen=False)
        pixels, levels = decode(content(source, name), name, plain)
        found = (pixels, levels, *self._maps(name, part, pixels.shape[1:]))
        self._kept = None if part.corner is None else (key, found)
        return found

    def _maps(self, name: str, part: Part, size: tuple[int, ...]) -> tuple[Pixels, Pixels | None]:
        """Class map uint8 and numbers int32 of a whole image of this size."""
        found: dict[str, Pixels] = {}
        for kind, path in (("classes", part.classes), ("instances", part.instances)):
            if path is None:
                continue
            values = read_map(content(path, f"{name}, its map,"), name, path)
            if values.shape != tuple(size):
                raise DataError(
                    f"the map of image {name} ({path.name}) has another size",
                    value=values.shape,
                    allowed=f"{tuple(size)}, as the image",
                    next_step="give the map of this very image, at its own size; ?size= resizes both together",
                )
            found[kind] = values
        numbers = found.get("instances")
        instances = None if numbers is None else as_instances(numbers, f"{name} ({part.instances})")
        if "classes" not in found:
            assert instances is not None, "a part has one of both"
            return (instances > 0).astype(np.uint8), instances
        named = f"{name} ({part.classes and part.classes.name})"
        target = as_classes(found["classes"], named, classes=len(self.classes), ignore=self._how.ignore)
        return target, instances

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the files, the place of a tile, the group, and the reading options."""
        entry, part = self.entry(case_id), self._parts[case_id]
        asked = (self._how, part.corner, part.tile, entry.group, part.classes is None, part.instances is None)
        digest = hashlib.sha256(repr(asked).encode())
        for path in (Path(entry.source), part.classes, part.instances):
            if path is not None:
                digest.update(self._hash(path, case_id))
        return digest.hexdigest()

    def _hash(self, path: Path, name: str) -> bytes:
        """SHA-256 of a file, which many tiles may share."""
        key = (path, _changed(path))
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(content(path, name)).digest()
        return self._hashes[key]

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> MapSet:
        """The same set limited to a split or to some ids, order kept."""
        chosen = choose(self.entries, split, ids)
        found = MapSet(self.spec, self.classes, entries=chosen, parts=self._parts, how=self._how)
        found.dropped = self.dropped
        return found


def _changed(path: Path | None) -> int | None:
    """Time of a file's last change in nanoseconds; None where there is none, which reading it then tells."""
    try:
        return None if path is None else path.stat().st_mtime_ns
    except OSError:
        return None
