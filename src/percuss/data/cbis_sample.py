"""A tiny CBIS-DDSM in its true layout, with its traps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from percuss.data.dicom_write import uid, write_dicom

HEADER = (
    "patient_id,{density},left or right breast,image view,abnormality id,abnormality type,mass shape,mass margins,"
    "assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"
)
_PATHOLOGY = ("MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK")


def row(patient: str, number: int, pathology: str, *, title: str, series: tuple[str, str, str]) -> str:
    """One lesion's row: the paths are those of the first release, the last two end in a line break."""
    titles = (title, f"{title}_{number}", f"{title}_{number}")
    whole, crop, mask = (f"{name}/{uid(1)}/{one}/" for name, one in zip(titles, series, strict=True))
    return (
        f"{patient},3,LEFT,CC,{number},mass,OVAL,CIRCUMSCRIBED,4,{pathology},4,"
        f'{whole}000000.dcm,"{crop}000001.dcm\n","{mask}000000.dcm\n"'
    )


def miniature(folder: Path) -> str:
    """Write eight mammograms with ten lesions and return their spec.

    Traps: paths of the tables that are not those of the download, line breaks in paths, cut-out and mask in one series
    or in two, in either order and column, masks of another size than the mammogram, two lesions in one mammogram,
    patients of both tables and one of both splits, Patient IDs in the headers that are no patients, a row without
    images.
    """
    tables: dict[str, list[str]] = {}
    for number in range(8):
        kind, split = ("Mass", "Calc")[number % 2], ("Training", "Test")[number // 2 % 2]
        patient = f"P_{(0, 1, 2, 3, 4, 0, 1, 5)[number]:05d}"
        title = f"{kind}-{split}_{patient}_LEFT_CC"
        key = f"{kind.lower()}_case_description_{split.lower().removesuffix('ing')}_set.csv"  # training: train
        lines = tables.setdefault(key, [HEADER.format(density=("breast_density", "breast density")[number % 2])])
        lines += _write(folder / "CBIS-DDSM", number, patient, title=title)
    gone = row("P_00009", 1, "BENIGN", title="Mass-Training_P_00009_LEFT_CC", series=(uid(7), uid(8), uid(9)))
    tables["mass_case_description_train_set.csv"].append(gone)
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"cbis_ddsm:{folder}?size=16"


def _write(root: Path, number: int, patient: str, *, title: str) -> list[str]:
    """Files of one mammogram, and the rows of its lesions."""
    rng = np.random.default_rng(number)
    film = rng.integers(2000, 60000, (40, 30)).astype(np.uint16)
    whole = uid(2, number)
    tags = {"Modality": "MG", "PhotometricInterpretation": "MONOCHROME2"}
    home = root / title / f"07-20-2016-DDSM-NA-{number}"
    write_dicom(
        home / f"1.000000-full mammogram images-{number}" / "1-1.dcm",
        film,
        **tags,
        PatientID=title,
        SeriesInstanceUID=whole,
        SOPInstanceUID=uid(3, number),
    )
    rows = []
    for lesion in (1, 2) if number in (2, 5) else (1,):
        mask = np.zeros(film.shape, np.uint8)
        mask[5 * lesion : 5 * lesion + 12, 8:20] = 255
        cut = film[5 * lesion : 5 * lesion + 12, 8:20]
        if number == 6:
            mask = np.kron(mask, np.ones((2, 2), np.uint8))
        apart = number % 3 == 2
        series = (uid(4, number, lesion), uid(4, number, lesion) if not apart else uid(5, number, lesion))
        files: list[tuple[np.ndarray[Any, Any], str]] = [(cut, series[0]), (mask, series[1])]
        for at, (pixels, one) in enumerate(files if number % 2 else files[::-1]):
            called = "ROI mask images" if apart and at else "cropped images"
            folder = root / f"{title}_{lesion}" / f"07-21-2016-DDSM-NA-{number}" / f"1.000000-{called}-{number}"
            write_dicom(
                folder / f"1-{at + 1}.dcm",
                pixels,
                **tags,
                PatientID=f"{title}_{lesion}",
                SeriesInstanceUID=one,
                SOPInstanceUID=uid(6, number, lesion, at),
            )
        named = series if number % 4 < 2 else series[::-1]
        rows.append(row(patient, lesion, _PATHOLOGY[(number + lesion) % 3], title=title, series=(whole, *named)))
    return rows
