"""lidc:FOLDER, patches around the lung nodules of LIDC-IDRI (DICOM and XML), benign or malignant by its readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.decode import nearest_mask
from percuss.data.dicom_file import Header, is_dicom, read_frame, read_header
from percuss.data.items import ItemSet, Picture
from percuss.data.labels import check_classes
from percuss.data.lidc_marks import WIDE, Mark, Places, Scan, largest_slice, nodules, parse_scan
from percuss.data.lidc_sample import miniature
from percuss.data.listed import files_below
from percuss.data.options import check_names, spec_text, whole
from percuss.data.splits import check_entries, with_splits
from percuss.data.window import WINDOW_OPTIONS, View, Window, pixels_of, spacing_of, view

OPTIONS = (*WINDOW_OPTIONS, "patch", "readers", "split", "seed")
CLASSES = ("benign", "malignant")
#: The usual lung window, centre -600 and width 1500 HU.
LUNG = Window(-1350.0, 150.0)

__all__ = ["CLASSES", "LUNG", "OPTIONS", "malignancy", "miniature", "open_set"]


@dataclass(frozen=True)
class _Nodule:
    """Where a nodule is: folders of its series, the slice (SOP UID) and the places drawn on it."""

    folders: tuple[Path, ...]
    image: str
    places: Places


@dataclass(frozen=True)
class _How:
    """Reading options: view, and side of the patch in pixels or in millimetres."""

    view: View
    pixels: int | None
    millimetres: float | None


@dataclass(frozen=True)
class _Series:
    patient: str
    folders: tuple[Path, ...]


def open_set(location: str, options: Mapping[str, str]) -> ItemSet:
    """Nodules of 3 mm or more, one case each: a patch of the slice on which the nodule is largest.

    The label is the median of its readers' malignancy: below 3 benign, above 3 malignant, 3 left out.

    Options: ``patch=64`` (side in pixels) or ``patch=50mm`` (with ``size``), ``readers=1`` (at least so many drew it),
    ``window=-600,1500`` (the default) and ``step``, ``size``, ``channels``, ``split`` and ``seed``. ``dropped`` counts
    what was left out. DataError where XML or DICOM is missing, damaged or contradicts itself.
    """
    check_names(options, OPTIONS, "lidc")
    least = whole(options, "readers", low=1, high=4) or 1
    how = _how(options)
    root = Path(location).expanduser()
    if not root.is_dir():
        raise DataError("the folder does not exist", value=location, next_step="check the path behind lidc:")
    files = files_below(root)
    dropped: Counter[str] = Counter()
    scans = _scans([path for path in files if path.suffix.lower() == ".xml"], dropped)
    homes = _series([path for path in files if is_dicom(path)], set(scans))
    if not homes:
        raise DataError(
            "no CT in the folder has annotations, or no annotations have a CT",
            value=f"{location}: {len(scans)} annotated series",
            allowed="series of DICOM files, and their XML anywhere below the folder",
        )
    entries: list[Entry] = []
    places: dict[str, _Nodule] = {}
    for series, scan in sorted(scans.items(), key=lambda item: (_patient(homes, item[0]), item[0])):
        if series not in homes:
            dropped["scan not in the folder"] += 1
            continue
        _add(scan, homes[series], least, entries=entries, places=places, dropped=dropped)
    check_classes(sorted({CLASSES[int(e.target)] for e in entries if isinstance(e.target, int)}), "classify", location)
    entries = with_splits(entries, options)
    check_entries(entries)

    def load(case_id: str) -> Picture:
        return _picture(places[case_id], case_id, how)

    found = ItemSet(spec_text("lidc", location, options), "classify", CLASSES, entries=entries, load=load, how=how)
    found.dropped = dict(dropped)
    return found


def _how(options: Mapping[str, str]) -> _How:
    how, text = view(options, LUNG), options.get("patch", "64")
    if not text.endswith("mm"):
        return _How(how, whole({"patch": text}, "patch", low=4, high=2048), None)
    try:
        side = float(text.removesuffix("mm"))
    except ValueError:
        side = 0.0
    if not 1 <= side <= 500 or how.size is None:
        raise DataError(
            "the patch makes no sense",
            value=text,
            allowed="a side in pixels, or 1mm to 500mm together with size, for instance patch=50mm&size=64",
        )
    return _How(how, None, side)


def _scans(paths: list[Path], dropped: Counter[str]) -> dict[str, Scan]:
    """Annotations by series. The same file may lie in two places; two that differ are an error."""
    found: dict[str, tuple[Scan, Path]] = {}
    for path in paths:
        scan = parse_scan(path)
        if scan is None:
            dropped["XML of another kind"] += 1
            continue
        first = found.setdefault(scan.series, (scan, path))
        if first[0] != scan:
            raise DataError(
                "two different XML files annotate one series",
                value=f"{first[1]} and {path}",
                next_step="keep the one that belongs to your release",
            )
    return {series: scan for series, (scan, _) in found.items()}


def _series(paths: list[Path], wanted: set[str]) -> dict[str, _Series]:
    """Patient and folders of the wanted series; of each folder the first readable file is looked at."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    found: dict[str, _Series] = {}
    for folder, inside in folders.items():
        header = next(filter(None, map(read_header, inside)), None)
        if header is None or header.series not in wanted:
            continue
        before = found.get(header.series, _Series(_name(header, folder), ()))
        found[header.series] = replace(before, folders=(*before.folders, folder))
    return found


def _name(header: Header, folder: Path) -> str:
    if not header.patient:
        raise DataError("a CT has no Patient ID", value=str(folder), next_step="load the series anew")
    return header.patient


def _patient(homes: Mapping[str, _Series], series: str) -> str:
    return homes[series].patient if series in homes else ""


def _add(
    scan: Scan,
    home: _Series,
    least: int,
    *,
    entries: list[Entry],
    places: dict[str, _Nodule],
    dropped: Counter[str],
) -> None:
    """Append the nodules of one scan that can be labelled; count the others."""
    if scan.small:
        dropped["points for nodules below 3 mm"] += scan.small
    for number, members in enumerate(nodules(scan.marks)):
        marks = [scan.marks[index] for index in members]
        rating = malignancy(marks)
        reason = _reason(len(marks), least, rating)
        if reason:
            dropped[reason] += 1
            continue
        assert rating is not None
        name = f"{home.patient}/{scan.series}/nodule{number + 1:02d}"
        shown = largest_slice(marks)
        entries.append(Entry(name, int(rating > 3), None, home.patient, str(home.folders[0])))
        places[name] = _Nodule(home.folders, shown.image, shown.places)


def _reason(readers: int, least: int, rating: float | None) -> str:
    if readers < least:
        return "fewer readers than asked for"
    if rating is None:
        return "malignancy not rated"
    return "median malignancy 3" if rating == 3 else ""


def malignancy(marks: list[Mark]) -> float | None:
    """Median rating of the readers who gave one, 1 to 5; None where nobody did."""
    ratings = [mark.malignancy for mark in marks if mark.malignancy is not None]
    return float(median(ratings)) if ratings else None


@lru_cache(maxsize=8)
def _slices(folder: Path, changed: int) -> dict[str, Path]:
    """Files of a folder by SOP Instance UID; of a slice that is there twice the first by name."""
    found: dict[str, Path] = {}
    for path in sorted(item for item in folder.iterdir() if is_dicom(item)) if changed else []:
        header = read_header(path)
        if header is not None:
            found.setdefault(header.image, path)
    return found


def _slice_file(nodule: _Nodule) -> Path | None:
    for home in nodule.folders:
        found = _slices(home, home.stat().st_mtime_ns if home.is_dir() else 0)
        if nodule.image in found:
            return found[nodule.image]
    return None


def _picture(nodule: _Nodule, name: str, how: _How) -> Picture:
    path = _slice_file(nodule)
    if path is None:
        raise DataError(
            f"the slice of nodule {name} is not in its series",
            value=nodule.image,
            next_step="load the series anew; it may be incomplete",
        )
    stored, spacing = read_frame(path, name)
    height, width = stored.numbers.shape[1:]
    rows, columns = nodule.places // WIDE, nodule.places % WIDE
    if int(rows.max()) >= height or int(columns.max()) >= width:
        raise DataError(f"nodule {name} lies outside of its slice", value=f"{height} x {width}")
    mask = np.zeros((height, width), dtype=np.int64)
    mask[rows, columns] = 1
    box = tuple(
        _interval(places, side, long, name)
        for places, side, long in zip((rows, columns), _sides(how, spacing, name), (height, width), strict=True)
    )
    pixels, grid = pixels_of(replace(stored, numbers=stored.numbers[:, box[0], box[1]]), name, how.view)
    mask = mask[box]
    before = mask.shape
    shown = mask if how.view.size is None else nearest_mask(mask, how.view.size)
    return Picture(pixels, grid, shown, spacing_of(spacing, before, how.view))


def _sides(how: _How, spacing: tuple[float, float] | None, name: str) -> tuple[int, int]:
    if how.pixels is not None:
        return how.pixels, how.pixels
    if spacing is None:
        raise DataError(f"the slice of nodule {name} has no pixel spacing", next_step="give the patch in pixels")
    side = how.millimetres or 0.0
    return max(round(side / spacing[0]), 1), max(round(side / spacing[1]), 1)


def _interval(places: Places, side: int, long: int, name: str) -> slice:
    """``side`` pixels about the middle of ``places``, moved to lie within the image."""
    if side > long:
        raise DataError(f"the patch of nodule {name} is larger than its slice", value=side, allowed=f"at most {long}")
    middle = (int(places.min()) + int(places.max()) + 1) / 2
    start = min(max(round(middle - side / 2), 0), long - side)
    return slice(start, start + side)
