"""Files in one folder per class, with or without train, val and test folders above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import DataError
from percuss.data.labels import check_classes, class_order
from percuss.data.splits import SPLIT_NAMES, split_name


@dataclass(frozen=True)
class Filed:
    """A file with the folder of its class, the number of the class, and the split it stands in."""

    home: Path
    path: Path
    target: int
    split: str | None


def classed_files(
    location: str, *, scheme: str, is_image: Callable[[Path], bool], files: str, otherwise: str
) -> tuple[tuple[str, ...], list[Filed]]:
    """Classes in order, and the files of ``location/CLASS/`` or ``location/SPLIT/CLASS/`` at any depth, by name.

    Args:
        location: the folder.
        scheme: name of the reader that asks, for errors.
        is_image: which files count.
        files: how a path of such a file looks, for errors.
        otherwise: what may be given instead of such a folder, for errors.

    Raises:
        DataError: no such folder, no file in it or in one of its classes, mixed layouts, images outside class
            folders, fewer than two classes.
    """
    root = Path(location).expanduser()
    if not root.is_dir():
        raise DataError("the image folder does not exist", value=location, next_step=f"check the path behind {scheme}:")
    homes = _class_folders(root, is_image)
    classes = class_order(home.name for home, _ in homes)
    found = [
        Filed(home, path, classes.index(home.name), split)
        for home, split in homes
        for path in sorted(home.rglob("*"))
        if is_image(path)
    ]
    if not found:
        raise DataError(
            "the folder holds no images",
            value=location,
            allowed=files,
            next_step=f"put the files of each class into a folder of its own, or {otherwise}",
        )
    filled = {item.target for item in found}
    for number, name in enumerate(classes):
        if number not in filled:
            raise DataError("a class folder holds no images", value=name, next_step="fill it or remove it")
    check_classes(classes, "classify", f"the folder {location}")
    return classes, found


def _class_folders(root: Path, is_image: Callable[[Path], bool]) -> list[tuple[Path, str | None]]:
    """Class folders with the split each stands in."""
    tops = _folders(root)
    _no_loose_images(root, "the top folder", is_image)
    splits = [top for top in tops if top.name.lower() in SPLIT_NAMES]
    if not splits:
        return [(top, None) for top in tops]
    if len(splits) < len(tops):
        raise DataError(
            "the folder mixes split folders and other folders",
            value=", ".join(top.name for top in tops),
            allowed="either only train, val and test, or only classes",
            next_step="move the other folders away, or use csv:",
        )
    for top in splits:
        _no_loose_images(top, f"the split folder {top.name}", is_image)
    return [(home, split_name(top.name)) for top in splits for home in _folders(top)]


def _no_loose_images(folder: Path, where: str, is_image: Callable[[Path], bool]) -> None:
    loose = [item.name for item in sorted(folder.iterdir()) if is_image(item)]
    if loose:
        raise DataError(
            f"{len(loose)} images lie in {where}, outside any class folder",
            value=loose[0],
            next_step="move them into the folder of their class, or use csv:",
        )


def _folders(root: Path) -> list[Path]:
    return sorted(item for item in root.iterdir() if item.is_dir() and item.name[0] not in "._")
