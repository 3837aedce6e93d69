"""folder:PATH?task=segment, images with a class map of the same name in the folder beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.decode import SUFFIXES
from percuss.data.listed import counted
from percuss.data.map_options import SHARED_OPTIONS, open_files
from percuss.data.map_set import MapSet, Part
from percuss.data.options import check_names, spec_text
from percuss.data.splits import SPLIT_NAMES, split_name

IMAGES, CLASSES, INSTANCES = "images", "masks", "instances"
_MAPS = SUFFIXES | {".npy"}


@dataclass(frozen=True)
class _Home:
    """Files by name without ending, of one folder that holds ``images``, and its split."""

    split: str | None
    images: dict[str, Path]
    classes: dict[str, Path] | None
    instances: dict[str, Path] | None


def open_maps(location: str, options: Mapping[str, str]) -> MapSet:
    """Images in ``PATH/images`` (or ``PATH/SPLIT/images``) with maps in ``masks``, ``instances`` or both beside.

    A map has the name of its image but for the ending. Ids are paths below ``location``. Options as for tables with
    class maps, but for columns. ``dropped`` counts maps without an image. DataError where the folders are missing.
    """
    check_names(options, SHARED_OPTIONS, "folder with task=segment")
    root = Path(location).expanduser()
    homes = [_home(top, split) for top, split in _tops(root)]
    maps = {home.classes is not None for home in homes}
    if len(maps) > 1 or len({home.instances is not None for home in homes}) > 1:
        raise DataError(
            "the splits differ in the maps they have",
            value=location,
            allowed="masks, instances or both in each",
            next_step="add the missing folders",
        )
    entries, parts, lost = list[Entry](), dict[str, Part](), 0
    for home in homes:
        for stem, path in home.images.items():
            name = path.relative_to(root).as_posix()
            entries.append(Entry(name, 0, home.split, source=str(path)))
            parts[name] = Part(_of(home.classes, stem, path), _of(home.instances, stem, path))
        lost += sum(len(set(known or {}) - set(home.images)) for known in (home.classes, home.instances))
    result = open_files(spec_text("folder", location, options), entries, parts, options=options, maps=True in maps)
    result.dropped = {**result.dropped, **counted(maps_without_an_image=lost)}
    return result


def _of(known: Mapping[str, Path] | None, stem: str, image: Path) -> Path | None:
    """The map of an image; where it is missing the path that it would have, so that reading the image names it."""
    if known is None:
        return None
    some = next(iter(known.values()), image)
    return known.get(stem, some.parent / f"{stem}{some.suffix}")


def _tops(root: Path) -> list[tuple[Path, str | None]]:
    """The folders that hold ``images``, each with its split."""
    if (root / IMAGES).is_dir():
        return [(root, None)]
    found = sorted(item for item in root.iterdir() if (item / IMAGES).is_dir()) if root.is_dir() else []
    if not found or any(item.name.lower() not in SPLIT_NAMES for item in found):
        raise DataError(
            "the folder holds no images with class maps",
            value=str(root),
            allowed=f"PATH/{IMAGES} and PATH/{CLASSES} or PATH/{INSTANCES}, or the same below train, val and test",
            next_step="sort the files so, or list them in a table and use csv:",
        )
    return [(item, split_name(item.name)) for item in found]


def _home(top: Path, split: str | None) -> _Home:
    images = _stems(top / IMAGES, SUFFIXES)
    classes, instances = (_stems(top / name, _MAPS) if (top / name).is_dir() else None for name in (CLASSES, INSTANCES))
    if not images or (classes is None and instances is None):
        raise DataError(
            f"the folder holds no {'images' if not images else 'maps'}",
            value=str(top),
            allowed=f"files in {IMAGES}, and maps of the same names in {CLASSES}, {INSTANCES} or both",
            next_step="add them",
        )
    return _Home(split, images, classes, instances)


def _stems(folder: Path, endings: frozenset[str]) -> dict[str, Path]:
    """Files by their name without ending; DataError where two differ in the ending alone."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in endings:
            continue
        if path.stem in found:
            raise DataError(
                "two files differ in their ending alone",
                value=f"{found[path.stem].name} and {path.name}",
                next_step="keep one of them",
            )
        found[path.stem] = path
    return found
