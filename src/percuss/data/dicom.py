"""dicom:PATH, DICOM files in one folder per class or listed in a table, in native units, with an optional window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.decode import decode_mask, nearest_mask
from percuss.data.dicom_file import Header, is_dicom, read_frame, read_header
from percuss.data.dicom_write import uid, write_dicom
from percuss.data.items import ItemSet, Picture
from percuss.data.options import check_names, choice, spec_text, whole
from percuss.data.sources import TABLE_OPTIONS, Source, labelled_files
from percuss.data.splits import check_entries, with_splits
from percuss.data.window import WINDOW_OPTIONS, View, pixels_of, spacing_of, view

OPTIONS = (*WINDOW_OPTIONS, "bits", "frames", "group", "split", "seed", *TABLE_OPTIONS)
_GROUPS = ("patient", "study", "series", "none")


@dataclass(frozen=True)
class _Shot:
    """Where the pixels of one case are: file, frame (from 0), and the mask's file where there is one."""

    path: Path
    frame: int
    mask: Path | None


def open_set(location: str, options: Mapping[str, str]) -> ItemSet:
    """Images of DICOM files: ``location`` is a folder with one folder per class, or a table (``.csv``).

    Options: ``size``, ``channels``, ``window=centre,width`` and ``step`` in native units, ``bits`` (declared depth),
    ``frames=all`` or ``middle``, ``group=patient``, ``study``, ``series`` or ``none``, ``split`` and ``seed``, and the
    columns of a table. Ids are the paths, with ``#0001`` and so on for frames of a file that has several.
    DataError where the data are missing, or one image stands under two labels, splits or names.
    """
    check_names(options, OPTIONS, "dicom")
    by = choice(options, "group", _GROUPS) or "patient"
    middle = choice(options, "frames", ("all", "middle")) == "middle"
    how, bits = view(options), whole(options, "bits", low=1, high=16)
    task, classes, files = labelled_files(location, options, scheme="dicom", is_image=is_dicom)
    headers = [read_header(file.path) for file in files]
    _check_repeats(files, headers)
    entries: list[Entry] = []
    shots: dict[str, _Shot] = {}
    for file, header in zip(files, headers, strict=True):
        group = file.group or _group(header, by, file.id)
        for frame in _frames(header, middle):
            name = file.id if header is None or header.frames == 1 else f"{file.id}#{frame + 1:04d}"
            entries.append(Entry(name, file.target, file.split, group, str(file.path)))
            shots[name] = _Shot(file.path, frame, file.mask)
    entries = with_splits(entries, options)
    check_entries(entries)

    def load(case_id: str) -> Picture:
        return _picture(shots[case_id], case_id, how, bits=bits)

    spec = spec_text("dicom", location, options)
    return ItemSet(spec, task, classes, entries=entries, load=load, how=(how, bits))


def _frames(header: Header | None, middle: bool) -> Sequence[int]:
    count = 1 if header is None else header.frames
    return [count // 2] if middle else range(count)


def _group(header: Header | None, by: str, file: str) -> str | None:
    """Patient, else study, else (for several frames) the file: each is of one patient at most."""
    if header is None or by == "none":
        return None
    found = {"patient": header.patient or header.study, "study": header.study, "series": header.series}[by]
    return found or (file if header.frames > 1 else None)


def _check_repeats(files: Sequence[Source], headers: Sequence[Header | None]) -> None:
    """DataError where one image (by its SOP Instance UID) is listed twice: a leak, or two labels for one image."""
    first: dict[str, Source] = {}
    for file, header in zip(files, headers, strict=True):
        if header is None or not header.image:
            continue
        other = first.setdefault(header.image, file)
        if other is not file:
            differ = other.target != file.target or other.split != file.split
            raise DataError(
                f"one image is listed twice{', with two labels or splits' if differ else ''}",
                value=f"{other.id} and {file.id} (SOP Instance UID {header.image})",
                next_step="keep one of the two",
            )


def _picture(shot: _Shot, name: str, how: View, *, bits: int | None) -> Picture:
    stored, spacing = read_frame(shot.path, name, frame=shot.frame, bits=bits)
    pixels, grid = pixels_of(stored, name, how)
    before = stored.numbers.shape[1:]
    mask = None if shot.mask is None else _mask(shot, name, before, size=how.size)
    return Picture(pixels, grid, mask, spacing_of(spacing, before, how))


def _mask(
    shot: _Shot, name: str, shape: tuple[int, ...], *, size: int | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The mask of a case: a DICOM file of as many frames, or a grey or palette picture."""
    assert shot.mask is not None
    if is_dicom(shot.mask):
        header = read_header(shot.mask)
        frame = shot.frame if header is not None and header.frames > 1 else 0
        found = read_frame(shot.mask, f"{name} (mask)", frame=frame)[0].numbers[0].astype(np.int64)
    else:
        try:
            found = decode_mask(shot.mask.read_bytes(), name)
        except OSError as error:
            raise DataError(f"the mask of {name} cannot be opened", value=error.strerror) from error
    if found.shape != shape:
        raise DataError(f"the mask of {name} has another size", value=found.shape, allowed=str(shape))
    return found if size is None else nearest_mask(found, size)


def miniature(folder: Path) -> str:
    """Write two classes of eight patients with every trap that one window can bring together; return their spec.

    Slopes and intercepts that differ (12-bit unsigned and 16-bit signed, padding far below), MONOCHROME1, several
    frames, a file without ending, a DICOMDIR, patients with two images.
    """
    rng = np.random.default_rng(0)
    for number in range(8):
        home = folder / ("benign", "malignant")[number % 2] / f"series{number}"
        tags = {
            "Modality": "CT",
            "PatientID": f"P{number // 2:02d} ",
            "StudyInstanceUID": uid(1, number),
            "SeriesInstanceUID": uid(2, number),
            "SOPInstanceUID": uid(3, number),
            "PixelSpacing": [0.5, 0.75],
            "RescaleSlope": 1,
        }
        values = rng.integers(-1000, 1000, (8, 10))
        if number == 3:
            tags |= {"RescaleIntercept": -1024, "BitsStored": 12, "PhotometricInterpretation": "MONOCHROME1"}
            write_dicom(home / "im0", (values + 1024).astype(np.uint16), **tags)
        elif number % 2:
            tags |= {"RescaleIntercept": -1024, "BitsStored": 12}
            write_dicom(home / "im0.dcm", (values + 1024).astype(np.uint16), **tags)
        elif number == 4:
            frames = rng.integers(-1000, 1000, (3, 8, 10)).astype(np.int16)
            write_dicom(home / "frames.dcm", frames, RescaleIntercept=0, **tags)
        else:
            values[0] = -2000  # padding outside of the field of view
            write_dicom(home / "im0.DCM", values.astype(np.int16), RescaleIntercept=0, **tags)
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "benign" / "notes.txt").write_text("no image\n", encoding="utf-8")
    return f"dicom:{folder}?window=40,400"
