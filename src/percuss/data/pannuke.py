"""pannuke:FOLDER, the npy folds of PanNuke as patches with or without tumour, by their count of neoplastic nuclei."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Entry, ImageSet
from percuss.data.arrays import ArraySet, row_of
from percuss.data.decode import Pixels, reading
from percuss.data.labels import check_classes
from percuss.data.listed import counted
from percuss.data.options import check_names, choice, spec_text, whole
from percuss.data.pannuke_folds import Rows, chosen_rows, levels, mapped
from percuss.data.pannuke_maps import MapsOfRows, counts, kinds
from percuss.data.splits import with_splits

OPTIONS = ("task", "size", "channels", "tissue", "least", "empty", "folds", "test", "val", "split", "seed", "check")
CLASSES = ("no tumour", "tumour")


def open_set(location: str, options: Mapping[str, str]) -> ImageSet:
    """Patches of the folds below ``location``: positive with 5 neoplastic nuclei or more, negative with none.

    Options: ``task=segment`` (the kind of nucleus at each pixel as the truth, with the numbers of the nuclei, of every
    patch); ``size``, ``channels``; ``tissue=Breast|Colon``; ``least=5``; ``empty=drop`` (patches without any nucleus);
    ``folds=1,2`` (only these); ``test=1`` and ``val=2`` (folds as splits, the others train; without them each fold is
    a split ``fold1``...), or ``split`` and ``seed``; ``check=no`` (take a fold whose count is another's). ``dropped``
    counts what was left out. DataError where a file is missing, not of the format, or contradicts another.
    """
    check_names(options, OPTIONS, "pannuke")
    choice(options, "check", ("no",))
    choice(options, "empty", ("drop",))
    segment = choice(options, "task", ("classify", "segment")) == "segment"
    if segment and "least" in options:
        raise DataError(
            "least speaks of patches with tumour, and task=segment has classes for each pixel",
            value=f"least={options['least']}",
            next_step="leave it out",
        )
    chosen = chosen_rows(location, options)
    entries, dropped = _every(chosen, options) if segment else _judged(chosen, location, options)
    entries = with_splits(entries, {name: options[name] for name in ("split", "seed") if name in options})
    text, how = spec_text("pannuke", location, options), reading(options)
    masks = {str(part.fold.images): part.fold.masks for part in chosen}
    found: ImageSet
    if segment:
        found = MapsOfRows(text, entries, masks=masks, how=how)
    else:
        found = ArraySet(text, "classify", CLASSES, entries=entries, how=how, stored=partial(_stored, masks))
    found.dropped = dropped
    return found


def _judged(chosen: list[Rows], location: str, options: Mapping[str, str]) -> tuple[list[Entry], dict[str, int]]:
    """Patches with their label by the count of neoplastic nuclei, and what was left out."""
    least = whole(options, "least", low=1, high=10**6) or 5
    entries, few, empty = [], 0, 0
    for part in chosen:
        for row, (neoplastic, nuclei) in zip(part.rows, counts(part.fold.masks, part.rows), strict=True):
            if 0 < neoplastic < least:
                few += 1
            elif not nuclei and "empty" in options:
                empty += 1
            else:
                entries.append(_entry(part, row, int(neoplastic >= least)))
    present = sorted({CLASSES[int(entry.target)] for entry in entries if isinstance(entry.target, int)})
    check_classes(present, "classify", f"the choice of patches in {location}")
    others = sum(part.others for part in chosen)
    return entries, counted(other_tissue=others, few_neoplastic_nuclei=few, no_nuclei=empty)


def _every(chosen: list[Rows], options: Mapping[str, str]) -> tuple[list[Entry], dict[str, int]]:
    """Every patch; masks are looked at only where patches without nuclei are to be left out."""
    entries, empty = [], 0
    for part in chosen:
        kept = [True] * len(part.rows)
        if "empty" in options:
            kept = [nuclei for _, nuclei in counts(part.fold.masks, part.rows)]
        entries += [_entry(part, row, 0) for row, keep in zip(part.rows, kept, strict=True) if keep]
        empty += kept.count(False)
    if not entries:
        raise DataError("no patch is left", value="empty=drop", next_step="leave it out")
    return entries, counted(other_tissue=sum(part.others for part in chosen), no_nuclei=empty)


def _entry(part: Rows, row: int, target: int) -> Entry:
    return Entry(f"fold{part.fold.number}/{row:04d}", target, part.split, source=str(part.fold.images))


def _stored(masks: Mapping[str, Path], entry: Entry) -> tuple[Pixels, Pixels]:
    row = row_of(entry)
    pixels = levels(np.asarray(mapped(Path(entry.source))[row]), entry.id)
    return pixels, kinds(np.asarray(mapped(masks[entry.source])[row]))


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
