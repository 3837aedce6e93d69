"""One pattern: coloured shapes that do not touch, on noise, with class and number at every pixel."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from percuss.core.errors import DataError
from percuss.core.seeds import seed_of
from percuss.data.patterns.noise import background
from percuss.data.patterns.shapes import SHAPES, Shape, covered

#: Raised whenever the same seed would draw another pattern.
RECIPE = "patterns-1"
CLASSES = ("background", *SHAPES)
#: The paper's four: red, green, blue, and red with blue.
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 255))
#: Smallest radius in pixels at which the four shapes still differ on the grid.
SMALLEST_RADIUS = 3.0


class Pattern(NamedTuple):
    """A picture and its exact truth.

    Attributes:
        image: uint8 ``[3, side, side]``.
        classes: uint8 ``[side, side]``, 0 background, then 1 + index in ``SHAPES``.
        instances: int32 ``[side, side]``, 0 background, shapes numbered from 1 in the order they were placed.
    """

    image: np.ndarray[Any, np.dtype[np.uint8]]
    classes: np.ndarray[Any, np.dtype[np.uint8]]
    instances: np.ndarray[Any, np.dtype[np.int32]]


def pattern(
    seed: object,
    *,
    side: int = 256,
    tries: int = 12,
    radius: tuple[float, float] | None = None,
    noise: float = 1.0,
) -> Pattern:
    """Draw one pattern; equal arguments give equal patterns.

    Kind, colour, centre, radius and rotation of each shape are drawn independently and uniformly. A shape that would
    touch an earlier one (even at a corner) is left out; one whose centre lies near the edge is cut by it. After the
    generator of Avramidis et al., whose background was a picture of the author's screen: here it is seeded noise.

    Args:
        seed: any printable value.
        side: height and width in pixels, 16 to 4096.
        tries: shapes drawn, of which some are left out; 0 gives a picture of background alone.
        radius: smallest and largest, in pixels; a sixteenth and a fifth of the side where not given.
        noise: strength of the background, from 0 (black) to 1.

    Raises:
        DataError: an argument out of its range.
    """
    low, high = radius or (max(SMALLEST_RADIUS, side / 16), max(SMALLEST_RADIUS, side / 5))
    _check(side, tries, (low, high), noise)
    rng = np.random.default_rng(seed_of(RECIPE, seed))
    image = np.rint(255 * noise * background(rng, side)).astype(np.uint8)
    classes, instances = np.zeros((side, side), np.uint8), np.zeros((side, side), np.int32)
    around, placed = np.ones((3, 3), dtype=bool), 0
    for _ in range(tries):
        kind, colour = int(rng.integers(len(SHAPES))), int(rng.integers(len(COLOURS)))
        row, column, size, turn = rng.random(4)
        shape = Shape(SHAPES[kind], row * side, column * side, low + size * (high - low), 2 * math.pi * turn)
        inside = covered(shape, side)
        if not inside.any() or instances[ndimage.binary_dilation(inside, around)].any():
            continue
        placed += 1
        classes[inside], instances[inside] = kind + 1, placed
        image[:, inside] = np.array(COLOURS[colour], dtype=np.uint8)[:, None]
    return Pattern(image, classes, instances)


def _check(side: int, tries: int, radius: tuple[float, float], noise: float) -> None:
    low, high = radius
    bad = (
        ("side", side, "16 to 4096 pixels", 16 <= side <= 4096),
        ("tries", tries, "0 to 10000 shapes", 0 <= tries <= 10_000),
        (
            "radius",
            radius,
            f"{SMALLEST_RADIUS:g} to the side, the smaller first",
            SMALLEST_RADIUS <= low <= high <= side,
        ),
        ("noise", noise, "0 to 1", 0 <= noise <= 1),
    )
    for name, value, allowed, fits in bad:
        if not fits:
            raise DataError(f"a pattern cannot be drawn with this {name}", value=value, allowed=allowed)
