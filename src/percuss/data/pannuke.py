"""pannuke:FOLDER, the npy folds of PanNuke as patches with or without tumour, by their count of neoplastic nuclei."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError, nearest
from percuss.core.images import Entry
from percuss.data.arrays import ArraySet, changed, folder_of, row_of
from percuss.data.decode import Pixels, reading
from percuss.data.labels import check_classes
from percuss.data.listed import counted, files_below
from percuss.data.options import check_names, choice, spec_text, whole
from percuss.data.splits import with_splits

OPTIONS = ("size", "channels", "tissue", "least", "empty", "folds", "test", "val", "split", "seed", "check")
CLASSES = ("no tumour", "tumour")
#: Patches of each official fold.
OFFICIAL = {"1": 2656, "2": 2523, "3": 2722}
#: Kinds of nuclei by channel of the masks; the sixth channel is background and no kind.
NUCLEI = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")


@dataclass(frozen=True)
class _Fold:
    number: str
    images: Path
    masks: Path
    types: Path | None


def open_set(location: str, options: Mapping[str, str]) -> ArraySet:
    """Patches of the folds below ``location``: positive with 5 neoplastic nuclei or more, negative with none.

    Options: ``size``, ``channels``; ``tissue=Breast|Colon``; ``least=5``; ``empty=drop`` (patches without any nucleus);
    ``folds=1,2`` (only these); ``test=1`` and ``val=2`` (folds as splits, the others train; without them each fold is
    a split ``fold1``...), or ``split`` and ``seed``; ``check=no`` (take a fold whose count is another's). ``dropped``
    counts what was left out. DataError where a file is missing, not of the format, or contradicts another.
    """
    check_names(options, OPTIONS, "pannuke")
    least = whole(options, "least", low=1, high=10**6) or 5
    choice(options, "check", ("no",))
    choice(options, "empty", ("drop",))
    folds = _chosen(_folds(folder_of(location, "pannuke")), options.get("folds"))
    entries, dropped = [], {"other tissue": 0, "few neoplastic nuclei": 0, "no nuclei": 0}
    tissues = {fold.number: _tissues(fold) for fold in folds}
    wanted = _wanted(options.get("tissue"), tissues)
    for fold in folds:
        count = _check(fold, tissues[fold.number], "check" not in options)
        split = _split(fold.number, [one.number for one in folds], options)
        rows = _rows_of(tissues[fold.number], wanted, count)
        dropped["other tissue"] += count - len(rows)
        for row, (neoplastic, nuclei) in zip(rows, _counts(fold.masks, rows, changed(fold.masks)), strict=True):
            if 0 < neoplastic < least:
                dropped["few neoplastic nuclei"] += 1
            elif not nuclei and "empty" in options:
                dropped["no nuclei"] += 1
            else:
                name = f"fold{fold.number}/{row:04d}"
                entries.append(Entry(name, int(neoplastic >= least), split, source=str(fold.images)))
    present = sorted({CLASSES[int(entry.target)] for entry in entries if isinstance(entry.target, int)})
    check_classes(present, "classify", f"the choice of patches in {location}")
    stored = partial(_stored, {str(fold.images): fold.masks for fold in folds})
    found = ArraySet(
        spec_text("pannuke", location, options),
        "classify",
        CLASSES,
        entries=with_splits(entries, {name: options[name] for name in ("split", "seed") if name in options}),
        how=reading(options),
        stored=stored,
    )
    found.dropped = counted(**dropped)
    return found


def _folds(root: Path) -> list[_Fold]:
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
        _Fold(number, files["images.npy"], files["masks.npy"], files.get("types.npy"))
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


def _chosen(folds: list[_Fold], asked: str | None) -> list[_Fold]:
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


def _open(path: Path) -> np.ndarray[Any, Any]:
    return _array(path, changed(path))


def _tissues(fold: _Fold) -> list[str] | None:
    return None if fold.types is None else [str(name) for name in _open(fold.types).reshape(-1)]


def _check(fold: _Fold, tissues: list[str] | None, official: bool) -> int:
    """Number of patches, after the files were found to agree."""
    images, masks = _open(fold.images), _open(fold.masks)
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


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _wanted(asked: str | None, tissues: Mapping[str, list[str] | None]) -> set[str] | None:
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
    known = {_plain(name): name for names in tissues.values() for name in names or []}
    for name in asked.split("|"):
        if _plain(name) not in known:
            raise DataError("no patch of this tissue", value=name, allowed=nearest(name, sorted(known.values())))
    return {_plain(name) for name in asked.split("|")}


def _rows_of(tissues: list[str] | None, wanted: set[str] | None, count: int) -> tuple[int, ...]:
    return tuple(row for row in range(count) if wanted is None or _plain((tissues or [])[row]) in wanted)


def _split(number: str, numbers: list[str], options: Mapping[str, str]) -> str | None:
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


@lru_cache(maxsize=24)
def _counts(path: Path, rows: tuple[int, ...], _changed: int) -> tuple[tuple[int, bool], ...]:
    """Number of neoplastic nuclei (distinct numbers above zero in their channel), and whether there is any nucleus."""
    masks = _open(path)
    found = []
    for row in rows:
        mask = np.asarray(masks[row])
        found.append((int((np.unique(mask[..., 0]) > 0).sum()), bool((mask[..., : len(NUCLEI)] > 0).any())))
    return tuple(found)


def _stored(masks: Mapping[str, Path], entry: Entry) -> tuple[Pixels, Pixels]:
    row = row_of(entry)
    values = np.asarray(_open(Path(entry.source))[row])
    whole_levels = bool(np.isfinite(values).all()) and bool((values == np.rint(values)).all())
    if not whole_levels or values.min() < 0 or values.max() > 255:
        raise DataError(
            f"image {entry.id} has no whole grey levels",
            value=f"{float(values.min()):g} to {float(values.max()):g}",
            allowed="0 to 255 in whole numbers, as PanNuke stores them",
            next_step="take the arrays as distributed, not scaled or normalised",
        )
    return values.astype(np.uint8).transpose(2, 0, 1), kinds(np.asarray(_open(masks[entry.source])[row]))


def kinds(mask: Pixels) -> Pixels:
    """Instance masks ``[H, W, 6]`` as one map ``[H, W]``, int64: 0 background, 1 + index in ``NUCLEI``.

    Channels may overlap; the lower number wins, so that tumour is never hidden. The background channel is not read.
    """
    found = np.zeros(mask.shape[:2], dtype=np.int64)
    for channel in reversed(range(len(NUCLEI))):
        found[mask[..., channel] > 0] = channel + 1
    return found


def miniature(folder: Path) -> str:
    """Write three folds of four patches of 32 pixels, their folders spelt in three ways; return their spec."""
    for number, name in enumerate(("Fold 1", "Fold2", "fold_3"), start=1):
        inner = f"fold{number}"
        for kind in ("images", "masks"):
            (folder / name / kind / inner).mkdir(parents=True, exist_ok=True)
        images = (np.arange(4 * 32 * 32 * 3).reshape(4, 32, 32, 3) * 7 + number) % 256
        masks = np.zeros((4, 32, 32, 6))
        for patch, nuclei in enumerate((6, 0, 3, 5)):  # tumour, a patch without nuclei, one to drop, tumour
            for nucleus in range(nuclei):
                masks[patch, 4 * nucleus : 4 * nucleus + 3, 2:9, 0] = 10 * nucleus + 7  # not numbered through
        masks[3, 0:3, 5:20, 4] = 91.0  # an epithelial nucleus over a neoplastic one
        masks[..., 5] = masks[..., :5].max(-1) == 0  # background is 1 where there is nothing
        kind_of_number = (np.float64, np.float32, np.uint8)[number - 1]
        np.save(folder / name / "images" / inner / "images.npy", images.astype(kind_of_number))
        np.save(folder / name / "masks" / inner / "masks.npy", masks)
        if number < 3:  # the third is a partial download
            tissues = np.array(["Breast", "Bile-duct", "Breast", "HeadNeck"])
            np.save(folder / name / "images" / inner / "types.npy", tissues)
        (folder / name / "README.md").write_text("6: Background\n", encoding="utf-8")
    return f"pannuke:{folder}"
