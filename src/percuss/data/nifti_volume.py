"""A NIfTI volume and planes of it, turned upright by the orientation in its header."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from percuss.core.errors import DataError, UsageError
from percuss.data.window import Stored

Pixels = np.ndarray[Any, Any]

#: Names of the planes with the anatomical axis across which each is cut (0 left-right, 1 back-front, 2 feet-head).
ANATOMICAL = {"sagittal": 0, "coronal": 1, "axial": 2}
AXES = (*ANATOMICAL, "0", "1", "2")
_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}


@dataclass(frozen=True)
class Volume:
    """Numbers ``[x, y, z]`` as stored; x, y, z run to the right, the front and the head where the axes are known.

    Attributes:
        numbers: whole numbers or floats.
        slope, intercept: scale to the values meant.
        spacing: distance of voxels along each axis, in mm; None where the header gives none.
        affine: of the axes as they are here, ``[4, 4]``.
    """

    numbers: Pixels
    slope: float
    intercept: float
    spacing: tuple[float, float, float] | None
    affine: Pixels


def nibabel() -> ModuleType:
    """The package nibabel. UsageError naming the extra where it is not installed."""
    try:
        import nibabel as found
    except ImportError as error:
        raise UsageError(
            "reading NIfTI needs the package nibabel", next_step='install it with pip install "percuss[nifti]"'
        ) from error
    module: ModuleType = found
    return module


def slices_of(path: Path, axis: str) -> int | None:
    """Number of slices across ``axis``, from the header; None where the file cannot be read."""
    try:
        image = _opened(path)
        return int(image.shape[_across(image, axis, path.name)])
    except DataError:
        return None


def open_volume(path: Path, name: str, *, axis: str, time: int | None = None) -> Volume:
    """Read a volume. DataError where it is damaged, has several times and none is chosen, or is no grey volume.

    ``axis`` tells whether the orientation is needed; ``time`` chooses of a 4-D file.
    """
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0, name, axis in ANATOMICAL, time)


@lru_cache(maxsize=2)
def _read(path: Path, changed: int, name: str, upright: bool, time: int | None) -> Volume:
    """Kept while its slices are read, since a compressed volume can be read as a whole only."""
    image = _opened(path)
    _check_shape(image, name, time)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            numbers = np.asanyarray(image.dataobj.get_unscaled())
    except Exception as error:  # damaged streams raise many kinds of error
        raise _damaged(name, error) from error
    if numbers.dtype.kind not in "iuf":
        raise DataError(
            f"volume {name} has no grey values", value=str(numbers.dtype), next_step="save it as one grey volume"
        )
    if numbers.ndim > 3:
        numbers = numbers.reshape(*numbers.shape[:3], -1)[..., time or 0]
    scale = _MILLIMETRES.get(image.header.get_xyzt_units()[0], 1.0)
    zooms = np.array(image.header.get_zooms()[:3], dtype=np.float64) * scale
    affine = np.asarray(image.affine)
    if upright:
        _check_orientation(image, name)
        turn = nibabel().orientations.io_orientation(affine)
        affine = affine @ nibabel().orientations.inv_ornt_aff(turn, numbers.shape)
        zooms = zooms[np.argsort(turn[:, 0])]
        numbers = nibabel().orientations.apply_orientation(numbers, turn)
    numbers = np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("=")))
    numbers.flags.writeable = False
    x, y, z = (float(zoom) for zoom in zooms)
    spacing = (x, y, z) if min(x, y, z) > 0 else None
    return Volume(numbers, float(image.dataobj.slope), float(image.dataobj.inter), spacing, affine)


def _opened(path: Path) -> Any:
    module = nibabel()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return module.load(path)
    except FileNotFoundError as error:
        raise DataError("the volume does not exist", value=path.name) from error
    except Exception as error:
        raise _damaged(path.name, error) from error


def _damaged(name: str, error: Exception) -> DataError:
    words = (str(error) or type(error).__name__).splitlines()[0]
    return DataError(
        f"volume {name} cannot be read",
        value=type(error).__name__ if "/" in words else words,
        allowed="whole .nii or .nii.gz files",
        next_step="mend or remove the file",
    )


def _check_shape(image: Any, name: str, time: int | None) -> None:
    shape = image.shape
    times = int(np.prod(shape[3:], dtype=np.int64)) if len(shape) > 3 else 1
    if len(shape) < 3 or min(shape) < 1:
        raise DataError(
            f"volume {name} has no three dimensions", value=shape, next_step="use folder: for single images"
        )
    if times > 1 and time is None:
        raise DataError(
            f"volume {name} has several times or channels",
            value=times,
            allowed=f"a choice of one, 0 to {times - 1}",
            next_step="give ?time=0",
        )
    if time is not None and time >= times:
        raise DataError(f"volume {name} has no time {time}", value=f"it has {times}", allowed=f"0 to {times - 1}")


def _check_orientation(image: Any, name: str) -> None:
    header = image.header
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise DataError(
            f"the header of volume {name} does not say how it lies",
            value="sform_code and qform_code are 0",
            allowed="an anatomical axis only where the header gives the orientation",
            next_step="choose the axis by number, as stored: ?axis=2",
        )


def _across(image: Any, axis: str, name: str) -> int:
    """Axis of the array as stored across which slices are cut."""
    _check_shape(image, name, 0)
    if axis not in ANATOMICAL:
        return int(axis)
    _check_orientation(image, name)
    turn = nibabel().orientations.io_orientation(image.affine)
    return int(np.flatnonzero(turn[:, 0] == ANATOMICAL[axis])[0])


def plane(volume: Volume, axis: str, index: int, *, unit: str) -> tuple[Stored, tuple[float, float] | None]:
    """One slice ``[1, height, width]`` with its scale, and its spacing (row, column) in mm.

    Anatomical planes are shown as radiologists do: front or head up, the patient's right at the left (axial,
    coronal), front at the left (sagittal). Numbered axes keep the order as stored: first remaining axis down.
    """
    number = ANATOMICAL.get(axis, -1) if axis in ANATOMICAL else int(axis)
    cut = np.take(volume.numbers, index, axis=number)
    rest = [at for at in range(3) if at != number]
    if axis in ANATOMICAL:
        cut, rest = cut[::-1, ::-1].T, rest[::-1]
    spacing = None if volume.spacing is None else (volume.spacing[rest[0]], volume.spacing[rest[1]])
    limits = np.iinfo(cut.dtype) if cut.dtype.kind in "iu" else None
    stored = Stored(
        np.ascontiguousarray(cut)[None],
        None if limits is None else int(limits.min),
        None if limits is None else int(limits.max),
        slope=volume.slope,
        intercept=volume.intercept,
        unit=unit,
    )
    return stored, spacing
