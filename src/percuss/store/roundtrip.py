"""Images written to a file format and read back, in memory: what is left of them once they were stored.

A file holds whole numbers. Values in [0, 1] go to the nearest of the format's levels: the native levels for
``native`` (no file) and ``png`` (8 bit up to 255 levels, else 16), ``2**bits - 1`` levels for DICOM (full range of
BitsStored; grey images carry RescaleSlope and RescaleIntercept of their native range), 255 for JPEG, which
loses more in its transform.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from percuss.core.errors import UsageError, nearest
from percuss.core.images import PixelRange
from percuss.store import png

_Values = np.ndarray[Any, Any]
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage
_UID = "1.2.826.0.1.3680043.8.498.1"


@dataclass(frozen=True)
class Format:
    """A way to store an image.

    Attributes:
        name: as on the command line.
        kind: ``native``, ``png``, ``dicom`` or ``jpeg``.
        number: bits stored (DICOM) or quality (JPEG); 0 for others.
        full_colour: JPEG without colour subsampling (4:4:4); else 4:2:0, the usual default.
        words: what it is, for people.
    """

    name: str
    kind: Literal["native", "png", "dicom", "jpeg"]
    number: int
    full_colour: bool
    words: str

    def fits(self, channels: int) -> bool:
        """Whether images of so many channels (1 or 3) have such files: colour DICOM is 8-bit, grey JPEG is one."""
        if self.kind == "dicom" and channels == 3:
            return self.number == 8
        return not (self.full_colour and channels == 1)


def _jpeg(quality: int, *, full: bool) -> Format:
    name, sampled = (f"jpeg{quality}-444", "4:4:4") if full else (f"jpeg{quality}", "4:2:0 in colour")
    return Format(name, "jpeg", quality, full, f"JPEG, quality {quality}, {sampled}")


#: Every format by name, in the order of the table.
FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format("native", "native", 0, False, "rounded to native depth"),
        Format("png", "png", 0, False, "PNG of native depth"),
        *(Format(f"dicom{bits}", "dicom", bits, False, f"DICOM, {bits} bit") for bits in (16, 12, 8)),
        *(_jpeg(quality, full=True) for quality in (95, 90, 80)),
        *(_jpeg(quality, full=False) for quality in (95, 90, 80)),
    )
}


def formats_for(channels: int, names: Sequence[str] | None = None) -> list[Format]:
    """The formats of these names (all where None) that fit so many channels; UsageError for unknown or unfit names."""
    if names is None:
        return [item for item in FORMATS.values() if item.fits(channels)]
    for name in names:
        if name not in FORMATS:
            raise UsageError("unknown format", value=name, allowed=nearest(name, FORMATS))
        if not FORMATS[name].fits(channels):
            fitting = ", ".join(item.name for item in FORMATS.values() if item.fits(channels))
            raise UsageError(f"images of {channels} channels have no such format", value=name, allowed=fitting)
    return [FORMATS[name] for name in dict.fromkeys(names)]


def round_trips(images: Tensor, form: Format, pixels: PixelRange) -> Tensor:
    """Images ``[N, C, H, W]`` in [0, 1] as they come back from such files: same shape, type and device."""
    back = [unpacked(packed(image, form, pixels), form, pixels) for image in images.detach().cpu()]
    return torch.stack(back).to(images) if back else images.clone()


def packed(image: Tensor, form: Format, pixels: PixelRange) -> bytes:
    """One image ``[C, H, W]`` in [0, 1] as the bytes of a file (``native``: of its levels)."""
    if form.kind == "native":
        # The shape is part of the bytes, so that they can be read back alone.
        file = io.BytesIO()
        np.save(file, _levels(image, pixels.levels).astype(np.int64))
        return file.getvalue()
    if form.kind == "png":
        return png.encode(image, pixels)
    return _dicom(image, form.number, pixels) if form.kind == "dicom" else _jpeg_file(image, form)


def unpacked(data: bytes, form: Format, pixels: PixelRange) -> Tensor:
    """The image float32 ``[C, H, W]`` in [0, 1] that a file of ``packed`` holds."""
    if form.kind == "native":
        values, top = np.load(io.BytesIO(data)), pixels.levels
    elif form.kind == "png":
        values, top = _png_values(data), pixels.levels
    elif form.kind == "dicom":
        return _dicom_image(data, pixels)
    else:
        with Image.open(io.BytesIO(data)) as picture:
            values, top = _first(np.asarray(picture)), 255
    return torch.from_numpy((values.astype(np.float64) / top).astype(np.float32))


def _levels(image: Tensor, top: int) -> _Values:
    found: _Values = (image.double() * top).round().clamp(0, top).numpy()
    return found


def _last(values: _Values) -> _Values:
    """``[C, H, W]`` as ``[H, W]`` or ``[H, W, 3]``."""
    return np.ascontiguousarray(values[0] if len(values) == 1 else values.transpose(1, 2, 0))


def _first(values: _Values) -> _Values:
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _png_values(data: bytes) -> _Values:
    wide, high = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    if data[24] == 16 and data[25] == 2:  # 16-bit colour, of which the imaging library keeps 8 bits
        start, size = (
            data.index(b"IDAT") + 4,
            int.from_bytes(data[data.index(b"IDAT") - 4 : data.index(b"IDAT")], "big"),
        )
        lines = np.frombuffer(zlib.decompress(data[start : start + size]), "u1").reshape(high, -1)[:, 1:]
        whole = np.ascontiguousarray(np.cumsum(lines, axis=0, dtype="u1"))  # the filter of png.encode undone
        return whole.view(">u2").reshape(high, wide, 3).transpose(2, 0, 1)
    with Image.open(io.BytesIO(data)) as picture:
        return _first(np.asarray(picture))


def _jpeg_file(image: Tensor, form: Format) -> bytes:
    file = io.BytesIO()
    options = {"quality": form.number, "subsampling": 0 if form.full_colour else 2}
    Image.fromarray(_last(_levels(image, 255).astype("u1"))).save(file, "JPEG", **options)
    return file.getvalue()


def _dicom(image: Tensor, bits: int, pixels: PixelRange) -> bytes:
    """A Secondary Capture file, Explicit VR Little Endian, unsigned, one frame."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    top = 2**bits - 1
    values = _last(_levels(image, top)).astype("u1" if bits == 8 else "<u2")
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = UID(_CAPTURE)
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = UID(_UID)
    found.Rows, found.Columns, found.SamplesPerPixel = values.shape[0], values.shape[1], len(image)
    found.PhotometricInterpretation = "MONOCHROME2" if len(image) == 1 else "RGB"
    found.BitsAllocated, found.BitsStored, found.HighBit = 8 if bits == 8 else 16, bits, bits - 1
    found.PixelRepresentation = 0
    if len(image) == 3:
        found.PlanarConfiguration = 0
    else:
        found.RescaleSlope, found.RescaleIntercept = _short(pixels.span / top), _short(pixels.low)
        found.RescaleType = "HU" if pixels.unit == "HU" else "US"
    content = values.tobytes()
    found.PixelData = content + b"\0" * (len(content) % 2)
    found["PixelData"].VR = "OB" if bits == 8 else "OW"
    file = io.BytesIO()
    found.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _short(value: float) -> str:
    """A number as DICOM's decimal string, at most 16 characters."""
    return next(text for digits in range(15, 0, -1) if len(text := f"{value:.{digits}g}") <= 16)


def _dicom_image(data: bytes, pixels: PixelRange) -> Tensor:
    from pydicom import dcmread

    found = dcmread(io.BytesIO(data))
    values = _first(found.pixel_array).astype(np.float64)
    if "RescaleSlope" in found:
        native = values * float(found.RescaleSlope) + float(found.RescaleIntercept)
        unit = (native - pixels.low) / pixels.span
    else:
        unit = values / (2 ** int(found.BitsStored) - 1)
    return torch.from_numpy(unit.clip(0, 1).astype(np.float32))
