"""Stored numbers with their scale (slope, intercept, unit) as pixels: a window in native units, or the whole range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data.decode import Reading, shape
from percuss.data.options import choice, whole

Pixels = np.ndarray[Any, Any]

#: Names of the options that readers of scaled values understand.
WINDOW_OPTIONS = ("size", "channels", "window", "step")
#: Most levels an image may have: what 16 bits hold.
MOST_LEVELS = 65535
_SLACK = 1e-6


@dataclass(frozen=True)
class Window:
    """Values from ``low`` to ``high`` in native units; values beyond are set to the nearer end.

    ``step`` is the distance of levels asked for; None keeps that of the file.
    """

    low: float
    high: float
    step: float | None = None


@dataclass(frozen=True)
class View:
    """How scaled values become a case: side and channels as in ``Reading``, and the window (None: whole range)."""

    size: int | None = None
    channels: str | None = None
    window: Window | None = None


@dataclass(frozen=True)
class Stored:
    """Numbers as stored, of which ``slope * number + intercept`` are native values.

    Attributes:
        numbers: ``[1 or 3, height, width]``, whole numbers or floats.
        low, high: smallest and largest number the file can hold; None where that says nothing (float).
        slope, intercept: scale to native values; the slope is not 0.
        unit: of native values.
        inverted: small values are shown bright (MONOCHROME1), and are turned over within the range.
    """

    numbers: Pixels
    low: int | None
    high: int | None
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = "grey level"
    inverted: bool = False


def view(options: Mapping[str, str], default: Window | None = None) -> View:
    """The options ``size``, ``channels``, ``window=centre,width`` and ``step``, checked."""
    return View(
        size=whole(options, "size", low=1, high=16384),
        channels=choice(options, "channels", ("rgb", "grey")),
        window=_window(options, default),
    )


def _window(options: Mapping[str, str], default: Window | None) -> Window | None:
    found = default
    if "window" in options:
        parts = [_number(part) for part in options["window"].split(",")]
        if len(parts) != 2 or not all(map(math.isfinite, parts)) or parts[1] <= 0:
            raise DataError(
                "the window makes no sense",
                value=options["window"],
                allowed="centre,width in native units with a width above 0, for instance -600,1500 for lung in HU",
            )
        found = Window(parts[0] - parts[1] / 2, parts[0] + parts[1] / 2)
    if "step" not in options:
        return found
    step = _number(options["step"])
    if found is None or not (math.isfinite(step) and step > 0):
        raise DataError(
            "the step of levels makes no sense",
            value=options["step"],
            allowed="a number above 0 beside a window, for instance window=40,400&step=1",
        )
    PixelRange(found.low, found.high, step)  # the step must divide the window
    return replace(found, step=step)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def pixels_of(stored: Stored, name: str, how: View) -> tuple[Pixels, PixelRange]:
    """Pixels ``[1 or 3, height, width]`` in native units on the grid of the returned range.

    Integer where the values are whole numbers, else float64. DataError for NaN, values beyond the declared bits,
    a window between two stored levels, and more than 65,535 levels.
    """
    if not bool(np.isfinite(stored.numbers).all()):
        raise DataError(f"image {name} holds NaN or infinite values", next_step="mend or remove the file")
    if how.window is not None and stored.numbers.shape[0] == 3:
        raise DataError(f"image {name} is in colour, which has no window", next_step="leave ?window= out")
    stored = _upwards(_without_fraction(stored))
    grid = _range(stored, name, how.window)
    if grid.levels > MOST_LEVELS:
        raise DataError(
            f"image {name} would have more levels than 16 bits hold",
            value=f"{grid.levels} from {grid.low:g} to {grid.high:g} {grid.unit}",
            allowed=f"at most {MOST_LEVELS}",
            next_step="give a window and a step, for instance ?window=40,400&step=1",
        )
    values = stored.numbers * stored.slope + stored.intercept if _scaled(stored) else stored.numbers
    if how.window is None:
        _check_within(values, grid, name)
    places = np.rint((np.clip(values, grid.low, grid.high) - grid.low) / grid.step)
    if stored.inverted:
        places = grid.levels - places
    kind = np.uint8 if grid.levels <= 255 else np.uint16
    places, _ = shape(places.astype(kind), name, Reading(size=how.size, channels=how.channels))
    return _native(places, grid), grid


def _scaled(stored: Stored) -> bool:
    return (stored.slope, stored.intercept) != (1.0, 0.0)


def _without_fraction(stored: Stored) -> Stored:
    """Floats that are all whole are whole numbers: a common way to store HU."""
    numbers = stored.numbers
    whole_numbers = numbers.dtype.kind in "iu" or bool((numbers == np.rint(numbers)).all())
    # Beyond 2^31 they are no levels anyone measured.
    small = float(np.abs(numbers.astype(np.float64)).max(initial=0)) < 2**31
    return replace(stored, numbers=numbers.astype(np.int64 if whole_numbers and small else np.float64))


def _upwards(stored: Stored) -> Stored:
    if stored.slope > 0:
        return stored
    low, high = (None if end is None else -end for end in (stored.high, stored.low))
    return replace(stored, numbers=-stored.numbers, low=low, high=high, slope=-stored.slope)


def _range(stored: Stored, name: str, window: Window | None) -> PixelRange:
    slope, intercept = stored.slope, stored.intercept
    if window is not None and window.step is not None:
        return PixelRange(window.low, window.high, window.step, stored.unit)
    if stored.numbers.dtype.kind == "f":
        raise DataError(
            f"image {name} has floating-point values, which have no native step",
            value=f"{float(stored.numbers.min(initial=0)):g} to {float(stored.numbers.max(initial=0)):g}",
            next_step="give a window and a step, for instance ?window=40,400&step=1",
        )
    if window is None:
        if stored.low is None or stored.high is None:
            raise DataError(
                f"the type of image {name} says nothing of its range", next_step="give ?window=centre,width"
            )
        return PixelRange(slope * stored.low + intercept, slope * stored.high + intercept, slope, stored.unit)
    # The levels within the window; a hundredth of a step is forgiven, since slopes are decimals.
    low = math.ceil((window.low - intercept) / slope - 0.01)
    high = math.floor((window.high - intercept) / slope + 0.01)
    if high <= low:
        raise DataError(
            f"the window holds fewer than two levels of image {name}",
            value=f"{window.low:g} to {window.high:g}",
            allowed=f"wider than the file's step of {slope:g} {stored.unit}",
        )
    return PixelRange(slope * low + intercept, slope * high + intercept, slope, stored.unit)


def _check_within(values: Pixels, grid: PixelRange, name: str) -> None:
    low, high = float(values.min(initial=grid.high)), float(values.max(initial=grid.low))
    if low < grid.low - _SLACK * grid.step or high > grid.high + _SLACK * grid.step:
        raise DataError(
            f"image {name} leaves the range of its declared bits",
            value=f"{low:g} to {high:g}",
            allowed=f"{grid.low:g} to {grid.high:g} {grid.unit}",
            next_step="give ?window=centre,width, or the true depth with ?bits= where the reader has it",
        )


def _native(places: Pixels, grid: PixelRange) -> Pixels:
    """Values of places on the grid: the narrowest integer type that holds the range, else float64."""
    if grid.step == 1 and grid.low == round(grid.low):
        for kind in (np.uint8, np.uint16, np.int16, np.int32):
            if np.iinfo(kind).min <= grid.low and grid.high <= np.iinfo(kind).max:
                found: Pixels = (places.astype(np.int64) + round(grid.low)).astype(kind)
                return found
    # Products of decimals may leave the range by a rounding error.
    exact: Pixels = np.clip(places.astype(np.float64) * grid.step + grid.low, grid.low, grid.high)
    return exact


def spacing_of(spacing: tuple[float, float] | None, before: tuple[int, ...], how: View) -> tuple[float, float] | None:
    """Spacing (row, column) in millimetres after the resize; None where unknown or not above zero."""
    if spacing is None or not min(spacing) > 0:
        return None
    if how.size is None:
        return spacing
    return spacing[0] * before[0] / how.size, spacing[1] * before[1] / how.size
