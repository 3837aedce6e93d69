"""Writes small DICOM files, for the miniatures of the readers of DICOM; the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
#: Root of the identifiers we write; they mean nothing outside of tests.
ROOT = "1.2.826.0.1.3680043.8.498.7"


def uid(*parts: int) -> str:
    """A fixed identifier made of numbers."""
    return ".".join([ROOT, *(str(part) for part in parts)])


def write_dicom(path: Path, pixels: np.ndarray[Any, Any], **tags: object) -> None:
    """Write pixels ``[H, W]``, ``[frames, H, W]`` or ``[H, W, 3]`` (uint8, uint16 or int16) as they are.

    ``tags`` are DICOM keywords with values; those of the pixel module are set from the pixels first.
    """
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = UID(CT)
    found.SOPInstanceUID = UID(str(tags.get("SOPInstanceUID", uid(1))))
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    found.SamplesPerPixel = 3 if colour else 1
    found.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        found.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        found.NumberOfFrames = pixels.shape[0]
    found.Rows, found.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    found.BitsAllocated = found.BitsStored = pixels.dtype.itemsize * 8
    found.PixelRepresentation = int(pixels.dtype.kind == "i")
    found.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes() + b"\0" * (pixels.nbytes % 2)
    for name, value in tags.items():
        setattr(found, name, value)
    found.HighBit = found.BitsStored - 1
    found["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
