"""Write a pyramidal tiled TIFF from bands of rows, holding no more than a few bands of it in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np

from percuss.core.errors import DataError, UsageError

TILE = 256
#: From this many bytes of pixels on the file counts in 64 bits (BigTIFF).
_BIG = 2**31

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Raster:
    """What is written: height, width and channels (1 grey, 3 colour), type of a value, micrometres per pixel."""

    height: int
    width: int
    channels: int
    dtype: str
    mpp: float

    def half(self) -> Raster:
        """The next level: half as high and wide, a last odd row or column left out."""
        return Raster(self.height // 2, self.width // 2, self.channels, self.dtype, self.mpp * 2)

    @property
    def row(self) -> tuple[int, ...]:
        """Shape of one row."""
        return (self.width,) if self.channels == 1 else (self.width, self.channels)


def write_pyramid(path: Path | str, bands: Iterable[Array], raster: Raster) -> Path:
    """Write bands of rows, from the top, as a TIFF whose levels halve until one tile holds the image.

    Tiles of 256 pixels, packed without loss, each level a directory of its own with its resolution: what OpenSlide,
    QuPath and ASAP read where the values are uint8. Levels below the first wait in scratch files beside the target, a
    third of the image's size together; memory holds one band of tiles. The file takes its name when it is whole.

    Args:
        path: the file to write; its folder is made.
        bands: arrays ``[rows, width]`` (grey) or ``[rows, width, 3]``, any number of rows each, in order.
        raster: size, type (``uint8`` or ``float32``) and resolution of the whole. Of float32, NaN stands for no value:
            a pixel of a lower level is the mean of those that have one.

    Raises:
        UsageError: tifffile is not installed (extra ``wsi``).
        DataError: the bands do not add up to the raster, or the file cannot be written.
    """
    tifffile, target = needed_tifffile(), Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".percuss-", dir=target.parent) as folder:
            scratch = Path(folder) / target.name
            size = raster.height * raster.width * raster.channels * np.dtype(raster.dtype).itemsize
            with tifffile.TiffWriter(scratch, bigtiff=size > _BIG) as writer:
                _levels(writer, Path(folder), bands, raster)
            scratch.replace(target)
    except OSError as error:
        raise DataError("the image cannot be written", value=f"{target}: {error}") from error
    return target


def in_bands(pixels: Array) -> Iterator[Array]:
    """An array that is in memory as bands of rows."""
    for top in range(0, len(pixels), TILE):
        yield pixels[top : top + TILE]


def _levels(writer: Any, folder: Path, bands: Iterable[Array], raster: Raster) -> None:
    number = 0
    while True:
        below = raster.half()
        last = max(raster.height, raster.width) <= TILE or min(below.height, below.width) < 1
        with (folder / f"{number + 1}.raw").open("wb") as file:
            _write(writer, _tiles(bands, raster, None if last else file), raster, first=number == 0)
        if last:
            return
        number, raster = number + 1, below
        bands = _again(folder / f"{number}.raw", raster)


def _write(writer: Any, tiles: Iterator[Array], raster: Raster, *, first: bool) -> None:
    per_cm = 1e4 / raster.mpp
    colour = raster.channels == 3
    writer.write(
        tiles,
        shape=(raster.height, *raster.row),
        dtype=raster.dtype,
        tile=(TILE, TILE),
        photometric="rgb" if colour else "minisblack",
        planarconfig="contig" if colour else None,
        compression="adobe_deflate",
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
        subfiletype=0 if first else 1,
        metadata=None,
        maxworkers=1,
    )


def _tiles(bands: Iterable[Array], raster: Raster, below: IO[bytes] | None) -> Iterator[Array]:
    """The tiles of a level from left to right and top to bottom; the next level goes to ``below`` meanwhile."""
    for block in _blocks(bands, raster):
        if below is not None:
            below.write(halved(block).tobytes())
        full = np.zeros((TILE, -(-raster.width // TILE) * TILE, *raster.row[1:]), raster.dtype)
        full[: len(block), : raster.width] = block
        for left in range(0, full.shape[1], TILE):
            yield full[:, left : left + TILE]


def _blocks(bands: Iterable[Array], raster: Raster) -> Iterator[Array]:
    """Blocks of 256 rows (the last one may be lower) from bands of any height."""
    waiting, held, seen = [], 0, 0
    for band in bands:
        if band.shape[1:] != raster.row or band.dtype != np.dtype(raster.dtype):
            raise _unfit(f"a band of {band.dtype} {band.shape}", raster)
        waiting.append(band)
        held, seen = held + len(band), seen + len(band)
        while held >= TILE:
            joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            yield joined[:TILE]
            waiting, held = [joined[TILE:]], held - TILE
    if seen != raster.height:
        raise _unfit(f"{seen} rows", raster)
    if held:
        yield np.concatenate(waiting)


def halved(pixels: Array) -> Array:
    """Means of two by two pixels, rounded where whole numbers; a last odd row or column is left out."""
    even = pixels[: len(pixels) // 2 * 2, : pixels.shape[1] // 2 * 2]
    quarters = [even[row::2, column::2] for row in (0, 1) for column in (0, 1)]
    if pixels.dtype.kind == "u":
        found: Array = ((np.add.reduce(quarters, dtype=np.uint16) + 2) // 4).astype(pixels.dtype)
        return found
    known = np.add.reduce([np.isfinite(part) for part in quarters], dtype=pixels.dtype)
    with np.errstate(invalid="ignore"):
        means: Array = np.add.reduce(np.nan_to_num(quarters, nan=0.0)) / known
    return means


def _again(path: Path, raster: Raster) -> Iterator[Array]:
    """The rows of a scratch file, in bands."""
    step = int(np.prod(raster.row))
    with path.open("rb") as file:
        for top in range(0, raster.height, TILE):
            count = min(TILE, raster.height - top)
            found = np.fromfile(file, raster.dtype, count * step)
            yield found.reshape(count, *raster.row)
    path.unlink()


def _unfit(value: str, raster: Raster) -> DataError:
    wanted = f"{raster.height} rows of {raster.dtype} {raster.row}"
    return DataError("the bands do not add up to the image", value=value, allowed=wanted)


def needed_tifffile() -> ModuleType:
    """tifffile; UsageError that names the extra where it is not installed."""
    try:
        import tifffile
    except ImportError:
        raise UsageError(
            "writing a slide needs the package tifffile", next_step='install it with pip install "percuss[wsi]"'
        ) from None
    found: ModuleType = tifffile
    return found
