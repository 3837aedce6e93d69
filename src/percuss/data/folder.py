"""folder:PATH, one folder per class, with or without train, val and test folders above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.decode import READING_OPTIONS, SUFFIXES, reading
from percuss.data.files import FileSet
from percuss.data.labels import check_classes, class_order
from percuss.data.options import check_names, choice, spec_text
from percuss.data.splits import SPLIT_NAMES, check_entries, split_name, with_splits

OPTIONS = (*READING_OPTIONS, "split", "seed", "group")


def open_set(location: str, options: Mapping[str, str]) -> FileSet:
    """Images under ``location/CLASS/`` or ``location/SPLIT/CLASS/``; ids are paths below ``location``.

    Options: the reading options, ``split`` and ``seed`` (make splits), ``group=subfolder`` (``CLASS/PATIENT/``).
    DataError where the folder is missing or empty, or its layout has more than one meaning.
    """
    check_names(options, OPTIONS, "folder")
    grouped = choice(options, "group", ("subfolder",)) is not None
    root = Path(location).expanduser()
    if not root.is_dir():
        raise DataError("the image folder does not exist", value=location, next_step="check the path behind folder:")
    homes = class_folders(root, _is_image)
    found = [(home, split, image) for home, split in homes for image in _images(home, root, grouped)]
    if not found:
        raise DataError(
            "the folder holds no images",
            value=location,
            allowed=f"PATH/CLASS/*{{{','.join(sorted(SUFFIXES))}}}",
            next_step="put the images of each class into a folder of its own, or use csv:",
        )
    classes = class_order(home.name for home, _ in homes)
    for name in classes:
        if not any(home.name == name for home, _, _ in found):
            raise DataError("a class folder holds no images", value=name, next_step="fill it or remove it")
    check_classes(classes, "classify", f"the folder {location}")
    entries = [
        Entry(
            image.relative_to(root).as_posix(),
            classes.index(home.name),
            split,
            image.relative_to(home).parts[0] if grouped else None,
            str(image),
        )
        for home, split, image in found
    ]
    entries = with_splits(entries, options)
    check_entries(entries)
    return FileSet(
        spec_text("folder", location, options), "classify", classes, entries=entries, how=reading(options), masks={}
    )


def class_folders(root: Path, is_image: Callable[[Path], bool]) -> list[tuple[Path, str | None]]:
    """Class folders with the split each stands in. DataError for mixed layouts and images outside class folders."""
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


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _images(home: Path, root: Path, grouped: bool) -> list[Path]:
    """Images of one class folder, by name; their depth must be as declared."""
    found = sorted(item for item in home.rglob("*") if _is_image(item))
    for image in found:
        depth = len(image.relative_to(home).parts)
        if depth != (2 if grouped else 1):
            raise DataError(
                "an image lies at an unexpected depth",
                value=image.relative_to(root).as_posix(),
                allowed="CLASS/PATIENT/IMAGE" if grouped else "CLASS/IMAGE",
                next_step="with one folder per patient inside each class give ?group=subfolder; else use csv:",
            )
    return found


def miniature(folder: Path) -> str:
    """Write twelve tiny grey images (two classes in three splits) and return their spec."""
    for number in range(12):
        name = ("normal", "tumour")[number % 2]
        home = folder / ("train", "val", "test")[number // 4] / name
        home.mkdir(parents=True, exist_ok=True)
        pixels = (np.arange(64).reshape(8, 8) * 3 + number).astype(np.uint8)
        Image.fromarray(pixels).save(home / f"image{number:02d}.png")
    return f"folder:{folder}"
