"""One DICOM file: what its header says, and a frame of it as stored numbers with their scale."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from percuss.core.errors import DataError
from percuss.data.window import Stored

Pixels = np.ndarray[Any, Any]

SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
_MAGIC = b"DICM"
_TAGS = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
)


@dataclass(frozen=True)
class Header:
    """What is known of a file before its pixels are read; texts are stripped, and empty where absent."""

    image: str
    series: str
    study: str
    patient: str
    frames: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float] | None


def is_dicom(path: Path) -> bool:
    """Whether a file is named like DICOM or starts as a DICOM file does; DICOMDIR and hidden files are not."""
    if path.name.startswith(".") or path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    return path.suffix.lower() in SUFFIXES or (path.suffix.lower() in ("", ".0", ".1") and _starts_as_dicom(path))


def _starts_as_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(128)
        return stream.read(4) == _MAGIC


def read_header(path: Path) -> Header | None:
    """Header of a file; None where it cannot be read as DICOM (reading its pixels will say why)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of odd values, which do not matter here
            found = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            return Header(
                image=_text(found, "SOPInstanceUID"),
                series=_text(found, "SeriesInstanceUID"),
                study=_text(found, "StudyInstanceUID"),
                patient=_text(found, "PatientID"),
                frames=max(int(found.get("NumberOfFrames") or 1), 1),
                rows=int(found.get("Rows") or 0),
                columns=int(found.get("Columns") or 0),
                spacing_mm=_pair(found.get("PixelSpacing")),
            )
    except Exception:  # pydicom raises many kinds of error on damaged files
        return None


def _text(found: Dataset, name: str) -> str:
    return str(found.get(name) or "").strip()


def _pair(values: Any) -> tuple[float, float] | None:
    if values is None or len(values) != 2:
        return None
    row, column = float(values[0]), float(values[1])
    return (row, column) if row > 0 and column > 0 else None


def read_frame(
    path: Path, name: str, *, frame: int = 0, bits: int | None = None
) -> tuple[Stored, tuple[float, float] | None]:
    """A frame (counted from 0) with its scale, and the pixel spacing (row, column) in mm where known.

    Args:
        path: the file.
        name: id of the image, for errors.
        frame: index of the frame.
        bits: declared depth of unsigned values; None takes Bits Stored.

    Raises:
        DataError: no DICOM file, no pixels, damaged, a compression that no installed package reads, or values
            whose scale cannot be stated by a slope and an intercept.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = dcmread(path)
            _check(found, name)
            numbers = _coloured(pixel_array(found, index=frame), found)
            return _stored(numbers, found, frame=frame, bits=bits), _spacing(found, frame)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"image {name} cannot be read as DICOM",
            value=_why(error),
            allowed="whole DICOM files with pixels",
            next_step='for a missing decompressor pip install "percuss[dicom]"; else mend or remove the file',
        ) from error


def _why(error: Exception) -> str:
    """First line of the reason, without the folders of this machine."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (str(error) or type(error).__name__).splitlines()[0].split(": '/")[0]
    return text.removesuffix(":")


def _check(found: Dataset, name: str) -> None:
    if "PixelData" not in found:
        floats = any(key in found for key in ("FloatPixelData", "DoubleFloatPixelData"))
        raise DataError(
            f"the DICOM file of image {name} holds {'floating-point pixels' if floats else 'no pixels'}",
            value=found.get("Modality"),
            allowed="images with whole numbers as pixels",
            next_step="remove the file",
        )
    if "ModalityLUTSequence" in found:
        raise DataError(
            f"the values of image {name} are scaled by a table, which has no single step",
            value="Modality LUT Sequence",
            allowed="Rescale Slope and Intercept",
            next_step="apply the table when exporting the image",
        )


def _coloured(numbers: Pixels, found: Dataset) -> Pixels:
    """``[1 or 3, height, width]`` in this machine's byte order; palette images take their colours."""
    if found.PhotometricInterpretation == "PALETTE COLOR":
        numbers = apply_color_lut(numbers, found)
        depth = int(found.RedPaletteColorLookupTableDescriptor[2])
        if depth > 8 and not bool((numbers >> 8).any()):
            numbers = numbers.astype(np.uint8)  # 16-bit entries that hold 8-bit colours
    numbers = numbers.astype(numbers.dtype.newbyteorder("="))
    return numbers[None] if numbers.ndim == 2 else np.ascontiguousarray(numbers.transpose(2, 0, 1))


def _stored(numbers: Pixels, found: Dataset, *, frame: int, bits: int | None) -> Stored:
    if numbers.shape[0] == 3:
        # A palette gives colours of its own depth.
        own = numbers.dtype.itemsize * 8 if found.PhotometricInterpretation == "PALETTE COLOR" else found.BitsStored
        return Stored(numbers, 0, 2 ** int(bits or own) - 1)
    depth = int(bits or found.BitsStored)
    signed = int(found.get("PixelRepresentation") or 0) == 1
    low, high = (-(2 ** (depth - 1)), 2 ** (depth - 1) - 1) if signed else (0, 2**depth - 1)
    slope, intercept, kind = _rescale(found, frame)
    return Stored(
        numbers,
        low,
        high,
        slope=slope,
        intercept=intercept,
        unit=_unit(found, slope, intercept, kind=kind),
        inverted=found.PhotometricInterpretation == "MONOCHROME1",
    )


def _rescale(found: Dataset, frame: int) -> tuple[float, float, str]:
    """Slope, intercept and type, of the frame itself, of all frames, or of the file, in this order."""
    home = _functional(found, frame, "PixelValueTransformationSequence") or found
    slope = home.get("RescaleSlope")
    found_slope = 1.0 if slope is None else float(slope)
    if found_slope == 0:
        raise DataError("the Rescale Slope of a DICOM file is 0, so all its values are one", next_step="mend the file")
    return found_slope, float(home.get("RescaleIntercept") or 0.0), str(home.get("RescaleType") or "").strip()


def _functional(found: Dataset, frame: int, name: str) -> Dataset | None:
    """The one item of a functional group in an enhanced multi-frame file, None where there is none."""
    own = found.get("PerFrameFunctionalGroupsSequence")
    shared = found.get("SharedFunctionalGroupsSequence")
    for group in ([own[frame]] if own and frame < len(own) else []) + ([shared[0]] if shared else []):
        sequence = group.get(tag_for_keyword(name))
        if sequence is not None and len(sequence.value):
            item: Dataset = sequence.value[0]
            return item
    return None


def _unit(found: Dataset, slope: float, intercept: float, *, kind: str) -> str:
    """HU for CT that says so or, as the standard has it, says nothing; US means unspecified."""
    if kind == "HU" or (found.get("Modality") == "CT" and not kind):
        return "HU"
    if kind and kind != "US":
        return kind
    if found.get("Modality") == "PT" and found.get("Units"):
        return str(found.Units)
    return "grey level" if (slope, intercept) == (1.0, 0.0) else "rescaled value"


def _spacing(found: Dataset, frame: int) -> tuple[float, float] | None:
    home = _functional(found, frame, "PixelMeasuresSequence") or found
    return _pair(home.get("PixelSpacing")) or _pair(found.get("ImagerPixelSpacing"))
