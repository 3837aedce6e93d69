"""The resolution of a slide: from its metadata, from the user, and what to do where the two disagree."""

from __future__ import annotations

import math
from pathlib import Path

from percuss.core.errors import DataError
from percuss.data.slides.slide import Slide

_SQUARE = 0.01
_AGREE = 0.10
# Scanners give 0.1 to 2 um per pixel, reduced copies up to some ten; 600 dots per inch are 42 um.
_PLAUSIBLE = (0.02, 40.0)


def settle(
    path: Path, stored: tuple[float, float] | None, *, given: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """The resolution to work with, and notes on it.

    Args:
        path: the slide, named in errors.
        stored: micrometres per pixel along x and y as the file has them, None where it has none.
        given: micrometres per pixel that the user gave.

    Returns:
        Micrometres per pixel of level 0 or None, and sentences for the report.

    Raises:
        DataError: a given value that is no resolution, or that differs from the file's by more than 10 %; pixels that
            are not square within 1 % where nothing was given.
    """
    if given is not None and not (math.isfinite(given) and _PLAUSIBLE[0] <= given <= _PLAUSIBLE[1]):
        raise DataError(
            "--mpp must be micrometres per pixel of the slide's largest level",
            value=given,
            allowed=f"{_PLAUSIBLE[0]} to {_PLAUSIBLE[1]}, for instance 0.25",
        )
    if stored is None:
        return given, (f"The file states no resolution; {given:g} um per pixel were given.",) if given else ()
    if not all(math.isfinite(side) and _PLAUSIBLE[0] <= side <= _PLAUSIBLE[1] for side in stored):
        note = f"The file states {stored[0]:g} x {stored[1]:g} um per pixel, which is no slide's; it is not used."
        return given, (note,)
    across, down = stored
    mean = math.sqrt(across * down)
    uneven = abs(across - down) > _SQUARE * mean
    if given is None:
        if uneven:
            raise DataError(
                "the pixels of the slide are not square",
                value=f"{path}: {across:g} um wide, {down:g} um high",
                allowed="a difference of at most 1 %",
                next_step="give one resolution with --mpp if the metadata are wrong",
            )
        return mean, ()
    if abs(given - mean) > _AGREE * mean:
        raise DataError(
            "--mpp contradicts the slide",
            value=f"{path}: {given:g} given, {mean:g} um per pixel stored",
            allowed="a difference of at most 10 %",
            next_step="leave --mpp out, or correct the file",
        )
    notes = [f"{given:g} um per pixel were given, the file states {mean:g}."] if given != mean else []
    if uneven:
        notes.append(
            f"The file states pixels {across:g} um wide and {down:g} um high; one resolution is used for both."
        )
    return given, tuple(notes)


def needed_mpp(slide: Slide) -> float:
    """Micrometres per pixel of level 0.

    Raises:
        DataError: neither the file nor the user says.
    """
    if slide.mpp is None:
        raise DataError(
            "the slide states no resolution",
            value=slide.path,
            allowed="a resolution in the file's metadata, or given",
            next_step="say it with --mpp, in micrometres per pixel of the largest level, for instance --mpp 0.25",
        )
    return slide.mpp
