"""nifti:PATH, slices of NIfTI volumes in one folder per class or listed in a table, with an optional window."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.decode import nearest_mask
from percuss.data.items import ItemSet, Picture
from percuss.data.nifti_volume import AXES, Volume, nibabel, open_volume, plane, slices_of
from percuss.data.options import check_names, choice, spec_text, whole
from percuss.data.sources import TABLE_OPTIONS, labelled_files
from percuss.data.splits import check_entries, with_splits
from percuss.data.window import WINDOW_OPTIONS, View, pixels_of, spacing_of, view

OPTIONS = (*WINDOW_OPTIONS, "unit", "axis", "slices", "time", "patient", "split", "seed", *TABLE_OPTIONS)
ENDINGS = (".nii", ".nii.gz")
_SUBJECT = re.compile(r"(?:^|_)(sub-[A-Za-z0-9]+)(?:_|$)")


@dataclass(frozen=True)
class _How:
    """Reading options: view, axis, time of a 4-D file, unit of the values."""

    view: View
    axis: str
    time: int | None
    unit: str


def open_set(location: str, options: Mapping[str, str]) -> ItemSet:
    """Slices of volumes: ``location`` is a folder with one folder per class, or a table (``.csv``) of volumes.

    Options: ``size``, ``channels``, ``window=centre,width`` and ``step`` in the units of the volume, ``unit=HU`` (its
    name, which NIfTI does not hold), ``axis=axial``, ``coronal``, ``sagittal`` or a number, ``slices=all`` or how many
    (evenly spread), ``time`` of 4-D files, ``patient=auto``, ``stem``, ``prefix`` or ``folder`` (from the name),
    ``split`` and ``seed``, and the columns of a table. Ids are ``PATH#0012``, the slice from 0.
    DataError where the data are missing; UsageError where nibabel is.
    """
    check_names(options, OPTIONS, "nifti")
    nibabel()
    axis = choice(options, "axis", AXES) or "axial"
    by = choice(options, "patient", ("auto", "stem", "prefix", "folder")) or "auto"
    how = _How(view(options), axis, whole(options, "time", low=0, high=100000), options.get("unit") or "stored value")
    most = None if options.get("slices", "all") == "all" else whole(options, "slices", low=1, high=100000)
    task, classes, files = labelled_files(location, options, scheme="nifti", is_image=_is_volume)
    entries: list[Entry] = []
    places: dict[str, tuple[Path, int, Path | None]] = {}
    for file in files:
        group = file.group or patient_of(file.path, by)
        for index in _chosen(slices_of(file.path, axis), most):
            name = f"{file.id}#{index:04d}"
            entries.append(Entry(name, file.target, file.split, group, str(file.path)))
            places[name] = (file.path, index, file.mask)
    entries = with_splits(entries, options)
    check_entries(entries)

    def load(case_id: str) -> Picture:
        path, index, mask = places[case_id]
        return _picture(path, case_id, how, index=index, mask=mask)

    return ItemSet(spec_text("nifti", location, options), task, classes, entries=entries, load=load, how=how)


def _is_volume(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS) and path.is_file() and not path.name.startswith(".")


def patient_of(path: Path, by: str) -> str:
    """Patient from a file's name.

    ``auto``: the entity ``sub-...`` of BIDS, else the whole name; ``stem``: the whole name; ``prefix``: up to the first
    underscore; ``folder``: the folder the file lies in.
    """
    stem = path.name[: -len(next(end for end in reversed(ENDINGS) if path.name.lower().endswith(end)))]
    if by == "folder":
        return path.parent.name
    subject = _SUBJECT.search(stem)
    if by == "auto" and subject:
        return subject.group(1)
    return stem.split("_")[0] if by == "prefix" else stem


def _chosen(count: int | None, most: int | None) -> Sequence[int]:
    """Slices of a volume: all, or ``most`` evenly spread; one for a damaged volume, which reading then reports."""
    if count is None:
        return [0]
    if most is None or most >= count:
        return range(count)
    return [int((at + 0.5) * count / most) for at in range(most)]


def _picture(path: Path, name: str, how: _How, *, index: int, mask: Path | None) -> Picture:
    volume = open_volume(path, name.rpartition("#")[0], axis=how.axis, time=how.time)
    stored, spacing = plane(volume, how.axis, index, unit=how.unit)
    pixels, grid = pixels_of(stored, name, how.view)
    found = None if mask is None else _mask(mask, volume, name, how=how, index=index)
    return Picture(pixels, grid, found, spacing_of(spacing, stored.numbers.shape[1:], how.view))


def _mask(path: Path, volume: Volume, name: str, *, how: _How, index: int) -> np.ndarray[Any, Any]:
    """The same slice of the mask's volume, which must lie in the same place."""
    if not _is_volume(path):
        raise DataError(f"the mask of {name} is no NIfTI volume", value=path.name, allowed=" or ".join(ENDINGS))
    mask = open_volume(path, f"{name} (mask)", axis=how.axis)
    if mask.numbers.shape != volume.numbers.shape or not np.allclose(mask.affine, volume.affine, atol=1e-3):
        raise DataError(
            f"the mask of {name} lies in another place",
            value=f"{mask.numbers.shape}, the volume is {volume.numbers.shape}",
            allowed="the same shape and affine",
        )
    cut = plane(mask, how.axis, index, unit="label")[0].numbers[0]
    values = cut * mask.slope + mask.intercept
    if not np.array_equal(values, np.rint(values)):
        raise DataError(f"the mask of {name} is not whole numbers", value=str(cut.dtype))
    found = values.astype(np.int64)
    return found if how.view.size is None else nearest_mask(found, how.view.size)


def miniature(folder: Path) -> str:
    """Write six volumes of three patients, with masks, and a table; return its spec.

    With axes in other directions, floating-point values that are whole HU, a compressed file, a 4-D file of one time,
    and names of BIDS.
    """
    module, rng = nibabel(), np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,label,mask"]
    for number in range(6):
        values = rng.integers(-1000, 1000, (5, 6, 4))
        kind = (np.int16, np.float32)[number % 2]
        affine = np.diag([2.0, 1.5, 3.0, 1.0]) if number % 3 else np.diag([-2.0, -1.5, 3.0, 1.0])
        data = values.astype(kind)[..., None] if number == 4 else values.astype(kind)
        image = module.Nifti1Image(data, affine)
        image.header.set_xyzt_units("mm")
        name = f"sub-{number // 2:02d}_run-{number % 2}_ct.nii" + (".gz" if number == 3 else "")
        mask = module.Nifti1Image((values > 500).astype(np.uint8), affine)
        for text, item in ((name, image), (f"mask{number}.nii", mask)):
            content = item.to_bytes()
            # Without a time in the archive the bytes are the same each time.
            (folder / text).write_bytes(gzip.compress(content, mtime=0) if text.endswith(".gz") else content)
        lines.append(f"{name},{('normal', 'lesion')[number // 2 % 2]},mask{number}.nii")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"nifti:{folder / 'labels.csv'}?window=40,400&unit=HU"
