"""Images as files with a class for every pixel, whole or cut into tiles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from percuss.core.class_maps import check_map
from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet
from percuss.data.decode import Pixels, Reading, decode, nearest_mask, shape
from percuss.data.files import content
from percuss.data.map_files import as_classes, as_instances, read_map
from percuss.data.splits import choose


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

    def read(self, case_id: str) -> Case:
        """Decode an image with its maps. DataError where a file is missing, damaged, or does not fit the others."""
        entry, part, how = self.entry(case_id), self._parts[case_id], self._how.images
        plain = replace(how, size=None, stretch=False, sharpen=False)
        pixels, levels = decode(content(Path(entry.source), case_id), case_id, plain)
        target, instances = self._maps(case_id, part, pixels.shape[1:])
        if part.corner is not None and part.tile is not None:
            row, column = part.corner
            place = (..., slice(row, row + part.tile), slice(column, column + part.tile))
            pixels, target = pixels[place], target[place]
            instances = None if instances is None else instances[place]
        pixels, levels = shape(pixels, case_id, replace(how, alpha=None))
        if how.size is not None:
            target = nearest_mask(target, how.size)
            instances = None if instances is None else nearest_mask(instances, how.size)
        check_map(case_id, target, instances, size=pixels.shape[1:], classes=len(self.classes))
        return Case(case_id, pixels, levels, target, group=entry.group, instances=instances)

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
                digest.update(hashlib.sha256(content(path, case_id)).digest())
        return digest.hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> MapSet:
        """The same set limited to a split or to some ids, order kept."""
        chosen = choose(self.entries, split, ids)
        found = MapSet(self.spec, self.classes, entries=chosen, parts=self._parts, how=self._how)
        found.dropped = self.dropped
        return found
