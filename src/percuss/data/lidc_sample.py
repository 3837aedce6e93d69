"""A tiny LIDC-IDRI in its true layout, with its traps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from percuss.data.dicom_write import uid, write_dicom

_SIDE, _SLICES = 40, 3
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def square(centre: tuple[int, int], half: int) -> list[tuple[int, int]]:
    """A closed line of pixels (column, row) about a centre: it encloses a square of side ``2 * half - 1``."""
    x, y = centre
    side = range(-half, half)
    return [
        *((x + at, y - half) for at in side),
        *((x + half, y + at) for at in side),
        *((x - at, y + half) for at in side),
        *((x - half, y - at) for at in side),
    ]


def roi(image: str, z: float, points: Iterable[tuple[int, int]], *, inclusion: str = "TRUE") -> str:
    """The XML of one contour."""
    edges = "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points)
    return (
        f"<roi><imageZposition>{z}</imageZposition><imageSOP_UID>{image}</imageSOP_UID>"
        f"<inclusion>{inclusion}</inclusion>{edges}</roi>"
    )


def nodule(name: str, rois: Sequence[str], malignancy: int | None) -> str:
    """The XML of one nodule of one reader; without a rating it is one below 3 mm."""
    rated = f"<characteristics><malignancy>{malignancy}</malignancy></characteristics>"
    return (
        f"<unblindedReadNodule><noduleID>{name}</noduleID>{'' if malignancy is None else rated}{''.join(rois)}"
        "</unblindedReadNodule>"
    )


def message(series: str, readings: Sequence[Sequence[str]], root: str = "LidcReadMessage") -> str:
    """The XML of one scan: for each reader what was marked."""
    sessions = "".join(f"<readingSession>{''.join(marks)}</readingSession>" for marks in readings)
    header = f"<ResponseHeader><SeriesInstanceUid>{series}</SeriesInstanceUid></ResponseHeader>"
    return f'{_HEAD}<{root} xmlns="http://www.nih.gov">{header}{sessions}</{root}>\n'


def miniature(folder: Path) -> str:
    """Write six scans of five patients and return their spec.

    Traps: XML in the series folder, in a folder of its own, and in both; the XML of a radiograph; nodules below 3 mm,
    marks that are no nodules, holes, z positions that are not those of the slices, a slice that is there twice, two
    scans of a patient, a nodule that readers cannot tell, one that only some drew, slopes that differ.
    """
    for number in range(6):
        patient = f"LIDC-IDRI-{min(number, 4) + 1:04d}"
        home = folder / "LIDC-IDRI" / patient / f"01-01-2000-NA-NA-{number}" / f"3000{number}.000000-NA-{number}"
        series = uid(2, number)
        slices = [uid(3, number, at) for at in range(_SLICES)]
        _write_slices(home, number, patient, series=series, slices=slices)
        text = message(series, _readings(number, slices))
        extra = folder / "tcia-lidc-xml" / "157" / f"{number}.xml"
        for path in ([home / "069.xml"], [extra], [home / "069.xml", extra])[number % 3]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    other = message(uid(9), [], "IdriReadMessage")
    (folder / "tcia-lidc-xml" / "radiograph.xml").write_text(other, encoding="utf-8")
    return f"lidc:{folder}?patch=24"


def _write_slices(home: Path, number: int, patient: str, *, series: str, slices: Sequence[str]) -> None:
    rng = np.random.default_rng(number)
    for at, image in enumerate(slices):
        values = rng.integers(-900, 100, (_SIDE, _SIDE))
        values[0] = -2000
        unsigned = number % 2 == 1
        pixels = (values.clip(-1024) + 1024).astype(np.uint16) if unsigned else values.astype(np.int16)
        tags = {
            "Modality": "CT",
            "PatientID": patient,
            "SeriesInstanceUID": series,
            "StudyInstanceUID": uid(1, number),
            "SOPInstanceUID": image,
            "PixelSpacing": [0.7, 0.7],
            "RescaleSlope": 1,
            "RescaleIntercept": -1024 if unsigned else 0,
        }
        # Names do not follow the order of the slices.
        write_dicom(home / f"1-{_SLICES - at:02d}.dcm", pixels, **tags)
        if at == 1:
            write_dicom(home / "1-90.dcm", pixels, **tags)


def _readings(number: int, slices: Sequence[str]) -> list[list[str]]:
    """Four readers: all draw one nodule; two a second one at the border, with a hole; one a third; and points."""
    first = [(4, 5, 5, 3), (1, 2, 2, 1)][number % 2]
    readings = []
    for reader in range(4):
        centre, z = (16 + reader % 2, 20), -100.0 - 50 * reader
        shapes = [square(centre, half) for half in (3, 5, 4)]
        marks = [nodule("1", [roi(s, z, p) for s, p in zip(slices, shapes, strict=True)], first[reader])]
        if reader < 2:
            hole = roi(slices[2], z, square((35, 35), 2), inclusion="FALSE")
            marks.append(nodule("2", [roi(slices[2], z, square((35, 35), 4)), hole], 3))
        if reader == 3:
            marks.append(nodule("3", [roi(slices[0], z, square((6, 33), 3))], 1 + number % 2 * 4))
        marks.append(nodule("4", [roi(slices[1], z, [(10 + reader, 8)])], None))
        marks.append(f"<nonNodule><nonNoduleID>{reader}</nonNoduleID></nonNodule>")
        readings.append(marks)
    return readings
