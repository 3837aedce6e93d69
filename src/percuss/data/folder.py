"""folder:PATH, one folder per class, with or without train, val and test folders above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import Entry, ImageSet
from percuss.data.class_folders import Filed, classed_files
from percuss.data.decode import READING_OPTIONS, SUFFIXES, reading
from percuss.data.files import FileSet
from percuss.data.folder_maps import open_maps
from percuss.data.map_options import MAP_OPTIONS
from percuss.data.options import check_names, choice, spec_text
from percuss.data.splits import check_entries, with_splits

OPTIONS = (*READING_OPTIONS, "split", "seed", "task", "group")


def open_set(location: str, options: Mapping[str, str]) -> ImageSet:
    """Images under ``location/CLASS/`` or ``location/SPLIT/CLASS/``; ids are paths below ``location``.

    Options: the reading options, ``split`` and ``seed`` (make splits), ``group=subfolder`` (``CLASS/PATIENT/``).
    ``task=segment`` takes ``images/`` with ``masks/`` or ``instances/`` instead (``percuss.data.folder_maps``).
    DataError where the folder is missing or empty, or its layout has more than one meaning.
    """
    if choice(options, "task", ("classify", "segment")) == "segment":
        return open_maps(location, options)
    for name in options:
        if name in MAP_OPTIONS:
            raise DataError(f"the option {name} is for class maps", value=options[name], next_step="give ?task=segment")
    check_names(options, OPTIONS, "folder")
    grouped = choice(options, "group", ("subfolder",)) is not None
    classes, found = classed_files(
        location,
        scheme="folder",
        is_image=_is_image,
        files=f"PATH/CLASS/*{{{','.join(sorted(SUFFIXES))}}}",
        otherwise="use csv:",
    )
    root = Path(location).expanduser()
    _check_depth(found, root, grouped)
    entries = [
        Entry(
            item.path.relative_to(root).as_posix(),
            item.target,
            item.split,
            item.path.relative_to(item.home).parts[0] if grouped else None,
            str(item.path),
        )
        for item in found
    ]
    entries = with_splits(entries, options)
    check_entries(entries)
    return FileSet(
        spec_text("folder", location, options), "classify", classes, entries=entries, how=reading(options), masks={}
    )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _check_depth(found: Sequence[Filed], root: Path, grouped: bool) -> None:
    """DataError where an image lies deeper or less deep than declared."""
    for item in found:
        if len(item.path.relative_to(item.home).parts) != (2 if grouped else 1):
            raise DataError(
                "an image lies at an unexpected depth",
                value=item.path.relative_to(root).as_posix(),
                allowed="CLASS/PATIENT/IMAGE" if grouped else "CLASS/IMAGE",
                next_step="with one folder per patient inside each class give ?group=subfolder; else use csv:",
            )


def miniature(folder: Path) -> str:
    """Write twelve tiny grey images (two classes in three splits) and return their spec."""
    for number in range(12):
        name = ("normal", "tumour")[number % 2]
        home = folder / ("train", "val", "test")[number // 4] / name
        home.mkdir(parents=True, exist_ok=True)
        pixels = (np.arange(64).reshape(8, 8) * 3 + number).astype(np.uint8)
        Image.fromarray(pixels).save(home / f"image{number:02d}.png")
    return f"folder:{folder}"
