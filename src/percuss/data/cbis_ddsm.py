"""cbis_ddsm:FOLDER, lesions (or whole mammograms) of CBIS-DDSM from its DICOM files and four tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.cbis_sample import miniature
from percuss.data.decode import nearest_mask
from percuss.data.dicom_file import is_dicom, read_frame, read_header
from percuss.data.items import ItemSet, Picture
from percuss.data.labels import check_classes
from percuss.data.listed import files_below, read_table
from percuss.data.options import check_names, choice, spec_text
from percuss.data.splits import check_entries, with_val
from percuss.data.window import WINDOW_OPTIONS, View, pixels_of, spacing_of, view

OPTIONS = (*WINDOW_OPTIONS, "image", "kind", "both", "without_callback", "val", "seed")
CLASSES = ("benign", "malignant")
_TABLE = re.compile(r"(mass|calc)_case_description_(train|test)_set\.csv", re.IGNORECASE)
_PATHOLOGY = {"MALIGNANT": 1, "BENIGN": 0, "BENIGN_WITHOUT_CALLBACK": 0}
_COLUMNS = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality id",
    "pathology",
    "image file path",
    "cropped image file path",
    "ROI mask file path",
)

__all__ = ["CLASSES", "OPTIONS", "miniature", "open_set"]


@dataclass(frozen=True)
class _Lesion:
    """One row: where it is listed, and the series (UID) of its mammogram and of its cut-out and mask."""

    mammogram: str
    number: str
    split: str
    patient: str
    target: int
    whole: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class _Files:
    """Files of a case: mammogram (empty for cut-outs), and for each lesion the files of cut-out and mask, unsorted."""

    whole: Path | None
    parts: tuple[tuple[Path, ...], ...]


def open_set(location: str, options: Mapping[str, str]) -> ItemSet:
    """Lesions of the tables found below ``location``, with their official splits train and test.

    Options: ``image=crop`` (cut-out of each lesion, the default) or ``full`` (each mammogram, with the union of its
    masks, malignant where any lesion is); ``kind=mass`` or ``calc``; ``without_callback=drop`` (else benign);
    ``both=test`` (patients of both splits count for test, their training images are left out; the default), ``train``
    or ``refuse``; ``val=0.1`` and ``seed``; ``size``, ``channels``, ``window`` and ``step``. ``dropped`` counts what
    was left out. DataError where tables or images are missing or contradict themselves.
    """
    check_names(options, OPTIONS, "cbis_ddsm")
    full = choice(options, "image", ("crop", "full")) == "full"
    both = choice(options, "both", ("test", "train", "refuse")) or "test"
    kind, how = choice(options, "kind", ("mass", "calc")), view(options)
    root = Path(location).expanduser()
    if not root.is_dir():
        raise DataError("the folder does not exist", value=location, next_step="check the path behind cbis_ddsm:")
    files = files_below(root)
    dropped: Counter[str] = Counter()
    keep_all = choice(options, "without_callback", ("drop", "benign")) != "drop"
    lesions = _lesions(_tables(files, kind), keep_all, dropped)
    lesions = lesions if both == "refuse" else _one_split(lesions, both, dropped)
    entries, places = _cases(lesions, _by_series(files), full=full, dropped=dropped)
    check_classes(sorted({CLASSES[int(e.target)] for e in entries if isinstance(e.target, int)}), "classify", location)
    entries = with_val(entries, options)
    check_entries(entries)
    load = partial(_load, places, how=how)
    found = ItemSet(
        spec_text("cbis_ddsm", location, options), "classify", CLASSES, entries=entries, load=load, how=(how, full)
    )
    found.dropped = dict(dropped)
    return found


def _tables(files: Sequence[Path], kind: str | None) -> list[tuple[str, str, Path]]:
    """Kind, split and path of the tables; some mirrors have them twice, which must be the same."""
    found: dict[tuple[str, str], Path] = {}
    for path in files:
        match = _TABLE.fullmatch(path.name)
        if match is None or (kind is not None and match[1].lower() != kind):
            continue
        first = found.setdefault((match[1].lower(), match[2].lower()), path)
        if first.read_bytes() != path.read_bytes():
            raise DataError("two tables of one name differ", value=f"{first} and {path}", next_step="keep one")
    if not found:
        raise DataError(
            "the folder holds no table of CBIS-DDSM",
            value=kind,
            allowed="mass_case_description_train_set.csv and so on",
            next_step="put the tables into the folder, as distributed",
        )
    return [(*key, path) for key, path in sorted(found.items())]


def _lesions(tables: Sequence[tuple[str, str, Path]], keep_all: bool, dropped: Counter[str]) -> list[_Lesion]:
    found = []
    for kind, split, path in tables:
        for line, row in read_table(path, _COLUMNS):
            pathology = row["pathology"].upper()
            if pathology not in _PATHOLOGY:
                raise DataError(
                    f"line {line} of {path.name} has an unknown pathology",
                    value=row["pathology"],
                    allowed=", ".join(_PATHOLOGY),
                )
            if pathology == "BENIGN_WITHOUT_CALLBACK" and not keep_all:
                dropped["benign without callback"] += 1
                continue
            view_name = "_".join(row[name] for name in ("patient_id", "left or right breast", "image view"))
            whole, crop, mask = (
                _series_of(row[name], path, line)
                for name in ("image file path", "cropped image file path", "ROI mask file path")
            )
            found.append(
                _Lesion(
                    mammogram=f"{kind}-{split}/{view_name}",
                    number=row["abnormality id"],
                    split=split,
                    patient=row["patient_id"],
                    target=_PATHOLOGY[pathology],
                    whole=whole,
                    # The two columns are swapped in many rows, so both series are searched for both.
                    parts=tuple(dict.fromkeys((crop, mask))),
                )
            )
    return found


def _series_of(path: str, table: Path, line: int) -> str:
    """The series UID within a path of the table (``name/study/series/file``); the rest differs between downloads."""
    parts = path.replace("\\", "/").split("/")
    if len(parts) < 3:
        raise DataError(f"line {line} of {table.name} has no path with a series", value=repr(path))
    return parts[-2].strip()


def _one_split(lesions: Sequence[_Lesion], home: str, dropped: Counter[str]) -> list[_Lesion]:
    """Patients in both official splits stay in ``home`` alone."""
    splits: dict[str, set[str]] = {}
    for lesion in lesions:
        splits.setdefault(lesion.patient, set()).add(lesion.split)
    kept = [lesion for lesion in lesions if len(splits[lesion.patient]) == 1 or lesion.split == home]
    if len(kept) < len(lesions):
        dropped[f"lesions of patients in both splits, kept in {home} alone"] = len(lesions) - len(kept)
    return kept


def _by_series(files: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in files:
        header = read_header(path) if is_dicom(path) else None
        if header is not None:
            found.setdefault(header.series, []).append(path)
    if not found:
        raise DataError(
            "the folder holds no DICOM files",
            allowed="CBIS-DDSM as the Cancer Imaging Archive gives it",
            next_step="for the copy in JPEG write a table of images and read it with csv:",
        )
    return found


def _cases(
    lesions: Sequence[_Lesion], series: Mapping[str, list[Path]], *, full: bool, dropped: Counter[str]
) -> tuple[list[Entry], dict[str, _Files]]:
    """Entries with their files; lesions whose images are not in the folder are counted."""
    groups: dict[str, list[_Lesion]] = {}
    for lesion in lesions:
        groups.setdefault(lesion.mammogram if full else f"{lesion.mammogram}_{lesion.number}", []).append(lesion)
    entries, places = [], {}
    for name, members in groups.items():
        first = members[0]
        parts = tuple(tuple(path for uid in lesion.parts for path in series.get(uid, ())) for lesion in members)
        whole = series.get(first.whole, []) if full else []
        if (full and not whole) or not all(parts):
            dropped["image not in the folder"] += 1
            continue
        if len(members) > 1 and (not full or len({lesion.whole for lesion in members}) > 1):
            raise DataError(
                "an image is listed twice", value=name, next_step="keep one row for each lesion, one file for each view"
            )
        entries.append(Entry(name, max(lesion.target for lesion in members), first.split, first.patient))
        places[name] = _Files(whole[0] if whole else None, parts)
    if not entries:
        raise DataError("none of the tables' images lies in the folder", next_step="load the images into the folder")
    return entries, places


def _load(places: Mapping[str, _Files], case_id: str, *, how: View) -> Picture:
    files = places[case_id]
    if files.whole is None:
        stored, spacing = read_frame(_cut_out(files.parts[0], case_id), case_id)
        pixels, grid = pixels_of(stored, case_id, how)
        return Picture(pixels, grid, None, spacing_of(spacing, stored.numbers.shape[1:], how))
    stored, spacing = read_frame(files.whole, case_id)
    pixels, grid = pixels_of(stored, case_id, how)
    before = stored.numbers.shape[1:]
    mask = np.zeros(before, dtype=np.int64)
    for parts in files.parts:
        mask |= _fitted(_mask(parts, case_id), before)
    shown = mask if how.size is None else nearest_mask(mask, how.size)
    return Picture(pixels, grid, shown, spacing_of(spacing, before, how))


def _numbers(path: Path, name: str) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = read_frame(path, name)[0].numbers[0]
    return found


def _two_valued(numbers: np.ndarray[Any, Any]) -> bool:
    return bool(((numbers == numbers.min()) | (numbers == numbers.max())).all())


def _by_size(paths: Sequence[Path]) -> list[Path]:
    """From small to large: the cut-out is usually smaller than the mask, which is as large as the mammogram."""
    sizes = {path: header.rows * header.columns if (header := read_header(path)) else 0 for path in paths}
    return sorted(sizes, key=lambda path: (sizes[path], str(path)))


def _cut_out(paths: Sequence[Path], name: str) -> Path:
    """The file that is no mask, whatever column it stands in: what has more than two values."""
    for path in _by_size(paths):
        if not _two_valued(_numbers(path, name)):
            return path
    raise DataError(
        f"lesion {name} has no cut-out image", value=f"{len(paths)} files, all of two values", next_step="load it anew"
    )


def _mask(paths: Sequence[Path], name: str) -> np.ndarray[Any, Any]:
    for path in reversed(_by_size(paths)):
        numbers = _numbers(path, name)
        if _two_valued(numbers):
            found: np.ndarray[Any, Any] = numbers > numbers.min()
            return found
    raise DataError(f"a lesion of {name} has no mask", value=f"{len(paths)} files", next_step="load it anew")


def _fitted(mask: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A mask brought to the size of its mammogram by nearest: some were drawn on another scan of the film."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for old, new in zip(mask.shape, shape, strict=True)
    )
    return mask[np.ix_(rows, columns)].astype(np.int64)
