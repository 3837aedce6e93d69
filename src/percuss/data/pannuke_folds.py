"""The folds of PanNuke as they lie on disk: found by their names, mapped, checked against each other, chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError, nearest
from percuss.data.arrays import changed, folder_of
from percuss.data.decode import Pixels
from percuss.data.listed import files_below

#: Patches of each official fold.
OFFICIAL = {"1": 2656, "2": 2523, "3": 2722}


@dataclass(frozen=True)
class Fold:
    """A fold's number, as text, and its files; ``types`` (names of tissues) may be missing."""

    number: str
    images: Path
    masks: Path
    types: Path | None


@dataclass(frozen=True)
class Rows:
    """The patches taken of a fold, the split they are in, and how many are of another tissue."""

    fold: Fold
    split: str | None
    rows: tuple[int, ...]
    others: int


def folds_below(root: Path) -> list[Fold]:
    """The folds by number, whatever their folders are called (``Fold 1/images/fold1``, ``fold_1``, ``Fold1``)."""
    found: dict[str, dict[str, Path]] = {}
    for path in files_below(root):
        if path.name not in ("images.npy", "masks.npy", "types.npy"):
            continue
        number = _number(path, root)
        if path.name in found.setdefault(number, {}):
            raise DataError(
                f"fold {number} has two files {path.name}",
                value=f"{found[number][path.name]} and {path}",
                next_step="keep one copy below the folder",
            )
        found[number][path.name] = path
    if not found:
        raise DataError(
            "the folder holds no PanNuke fold",
            value=str(root),
            allowed="Fold 1/images/fold1/images.npy, types.npy and Fold 1/masks/fold1/masks.npy, or alike",
            next_step="unpack fold_1.zip to fold_3.zip into the folder",
        )
    for number, files in found.items():
        for name in ("images.npy", "masks.npy"):
            if name not in files:
                raise DataError(
                    f"fold {number} lacks {name}",
                    value=", ".join(sorted(files)),
                    next_step=f"load fold {number} whole, or take the others with ?folds=",
                )
    return [
        Fold(number, files["images.npy"], files["masks.npy"], files.get("types.npy"))
        for number, files in sorted(found.items())
    ]


def _number(path: Path, root: Path) -> str:
    parts = (root.name, *path.relative_to(root).parts[:-1])
    inner = {match[1] for part in parts[1:] if (match := re.search(r"fold[\s_-]*(\d+)", part, re.IGNORECASE))}
    numbers = inner or {match[1] for match in [re.search(r"fold[\s_-]*(\d+)", parts[0], re.IGNORECASE)] if match}
    if len(numbers) != 1:
        raise DataError(
            "the path of a file names no fold, or two",
            value=str(path),
            allowed="one number, as in Fold 1/images/fold1",
            next_step="rename the folder; some mirrors pack one fold under another's name, so compare the counts",
        )
    return numbers.pop()


def chosen_folds(folds: list[Fold], asked: str | None) -> list[Fold]:
    """The folds that ``?folds=1,2`` names, all without it; DataError for one that is not there."""
    if asked is None:
        return folds
    known = {fold.number: fold for fold in folds}
    for number in asked.split(","):
        if number.strip() not in known:
            raise DataError("no such fold", value=number, allowed=", ".join(known))
    return [known[number] for number in sorted({part.strip() for part in asked.split(",")})]


@lru_cache(maxsize=12)
def _array(path: Path, _changed: int) -> np.ndarray[Any, Any]:
    """A file as a memory map; nothing is read yet."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(
            "the npy file cannot be read", value=f"{path}: {error}", next_step="load it anew; it may be cut off"
        ) from error
    return np.asarray(found) if found.dtype.kind in "US" else found


def mapped(path: Path) -> np.ndarray[Any, Any]:
    """An array as a memory map, of which only the rows that are asked for are ever read; DataError where damaged."""
    return _array(path, changed(path))


def tissues_of(fold: Fold) -> list[str] | None:
    """The tissue of each patch; None where ``types.npy`` is missing."""
    return None if fold.types is None else [str(name) for name in mapped(fold.types).reshape(-1)]


def check_fold(fold: Fold, tissues: list[str] | None, official: bool) -> int:
    """Number of patches, after the files were found to agree."""
    images, masks = mapped(fold.images), mapped(fold.masks)
    for path, array, depth in ((fold.images, images, 3), (fold.masks, masks, 6)):
        if array.ndim != 4 or array.shape[3] != depth or array.dtype.kind not in "uif":
            raise DataError(
                "the array is not PanNuke's", value=f"{path}: {array.shape}", allowed=f"[N, height, width, {depth}]"
            )
    counts = {"images": len(images), "masks": len(masks)} | ({} if tissues is None else {"types": len(tissues)})
    if len(set(counts.values())) > 1 or images.shape[1:3] != masks.shape[1:3]:
        raise DataError(
            f"the files of fold {fold.number} differ in number or size",
            value=f"{counts}, {images.shape[1:3]} and {masks.shape[1:3]} pixels",
            next_step=f"load fold {fold.number} whole, from one source",
        )
    twin = next((name for name, size in OFFICIAL.items() if size == len(images) and name != fold.number), None)
    if official and twin is not None and OFFICIAL.get(fold.number) != len(images):
        raise DataError(
            f"fold {fold.number} has as many patches as the official fold {twin}",
            value=len(images),
            allowed=str(OFFICIAL.get(fold.number)),
            next_step="some mirrors mix the folds up: rename it or load it anew, or give ?check=no",
        )
    return len(images)


def plain(name: str) -> str:
    """A tissue's name in small letters alone."""
    return re.sub(r"[^a-z]", "", name.lower())


def wanted_tissues(asked: str | None, tissues: Mapping[str, list[str] | None]) -> set[str] | None:
    """The tissues asked for, in plain letters; None for all."""
    if asked is None:
        return None
    for number, names in tissues.items():
        if names is None:
            raise DataError(
                f"fold {number} lacks types.npy, by which tissues are chosen",
                value=f"tissue={asked}",
                next_step="load it, or take the folds that have it with ?folds=",
            )
    known = {plain(name): name for names in tissues.values() for name in names or []}
    for name in asked.split("|"):
        if plain(name) not in known:
            raise DataError("no patch of this tissue", value=name, allowed=nearest(name, sorted(known.values())))
    return {plain(name) for name in asked.split("|")}


def rows_of(tissues: list[str] | None, wanted: set[str] | None, count: int) -> tuple[int, ...]:
    """Numbers of the patches whose tissue is wanted; all where ``wanted`` is None."""
    return tuple(row for row in range(count) if wanted is None or plain((tissues or [])[row]) in wanted)


def split_of(number: str, numbers: list[str], options: Mapping[str, str]) -> str | None:
    """The split of a fold as ``test=``, ``val=`` or its own name say; None where splits are drawn.

    DataError where both are asked for, or no such fold is there.
    """
    roles = {name: options[name] for name in ("test", "val") if name in options}
    if "split" in options:
        if roles:
            raise DataError("folds and drawn splits are given together", value=str(roles), next_step="leave one out")
        return None
    for name, fold in roles.items():
        if fold not in numbers or len(set(roles.values())) < len(roles):
            raise DataError(f"no fold for the split {name}", value=fold, allowed=f"one of {', '.join(numbers)} each")
    found = next((name for name, fold in roles.items() if fold == number), "train")
    return found if roles else f"fold{number}"


def chosen_rows(location: str, options: Mapping[str, str]) -> list[Rows]:
    """The patches that ``folds=``, ``tissue=``, ``test=`` and ``val=`` choose, of each fold below ``location``.

    Files are mapped and compared; no patch is read. DataError where one is missing or contradicts another.
    """
    folds = chosen_folds(folds_below(folder_of(location, "pannuke")), options.get("folds"))
    tissues = {fold.number: tissues_of(fold) for fold in folds}
    wanted = wanted_tissues(options.get("tissue"), tissues)
    numbers = [fold.number for fold in folds]
    found = []
    for fold in folds:
        count = check_fold(fold, tissues[fold.number], "check" not in options)
        rows = rows_of(tissues[fold.number], wanted, count)
        found.append(Rows(fold, split_of(fold.number, numbers, options), rows, count - len(rows)))
    return found


def levels(values: Pixels, name: str) -> Pixels:
    """Grey levels ``[3, height, width]``, uint8, of a stored patch ``[height, width, 3]`` of any type of number.

    DataError where it holds anything but whole numbers from 0 to 255.
    """
    whole_levels = bool(np.isfinite(values).all()) and bool((values == np.rint(values)).all())
    if not whole_levels or values.min() < 0 or values.max() > 255:
        raise DataError(
            f"image {name} has no whole grey levels",
            value=f"{float(values.min()):g} to {float(values.max()):g}",
            allowed="0 to 255 in whole numbers, as PanNuke stores them",
            next_step="take the arrays as distributed, not scaled or normalised",
        )
    return values.astype(np.uint8).transpose(2, 0, 1)
