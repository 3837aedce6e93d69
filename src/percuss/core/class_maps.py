"""Class maps as they come from a reader: of the image's size, of known classes, in agreement with the nuclei."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError

#: Note on an image whose class map shows background alone: it is kept, and its classes are absent.
EMPTY = "nothing but background"


def shows_nothing(target: object) -> bool:
    """Whether a target is a class map in which every judged pixel is background."""
    if not isinstance(target, np.ndarray) or target.ndim != 2:
        return False
    return not bool(((target != 0) & (target != IGNORE)).any())


def cells_of(size: Sequence[int], cell: int) -> tuple[int, ...]:
    """(height, width) in cells of an image of this size in pixels; DataError where a cell would be cut."""
    if any(side % cell for side in size):
        raise DataError(
            "the image cannot be divided into cells",
            value=f"{tuple(size)} pixels",
            allowed=f"sides that are multiples of {cell}",
            next_step="cut tiles of another size",
        )
    return tuple(side // cell for side in size)


def check_map(name: str, target: object, instances: Any, *, size: tuple[int, ...], classes: int) -> None:
    """DataError unless a target is a class map of its image's size, of known classes or ``IGNORE``, somewhere judged.

    Numbers of things must agree with it: 0 where a judged pixel is background and only there, one class each.

    Args:
        name: id of the image.
        target: uint8 ``[height, width]``.
        instances: numbers of things ``[height, width]``, or None.
        size: (height, width) of the image.
        classes: number of classes with the background.
    """
    found = np.asarray(target)
    if found.shape != size or found.dtype != np.uint8:
        raise DataError(
            f"the class map of image {name} does not fit it",
            value=f"{found.dtype} {found.shape}",
            allowed=f"uint8 {tuple(size)}",
            next_step="give the map of this very image, at its own size",
        )
    unknown = sorted(set(np.unique(found).tolist()) - set(range(classes)) - {IGNORE})
    if unknown:
        raise DataError(
            f"the class map of image {name} holds unknown classes",
            value=", ".join(map(str, unknown)),
            allowed=f"0 to {classes - 1}, and {IGNORE} for pixels without a judgement",
            next_step="name all classes, or map the values to them",
        )
    if not bool((found != IGNORE).any()):
        raise DataError(
            f"no pixel of image {name} is judged",
            value=f"{IGNORE} throughout its class map",
            allowed="at least one pixel with a class",
            next_step="leave the image out, or mend its map; of tiles of slides: tiled:DIR?annotated=yes",
        )
    if instances is not None:
        _check_numbers(name, found, np.asarray(instances), size=size)


def _check_numbers(name: str, target: Any, instances: Any, *, size: tuple[int, ...]) -> None:
    if instances.shape != size or instances.dtype.kind not in "iu":
        raise DataError(
            f"the numbers of nuclei of image {name} do not fit it",
            value=f"{instances.dtype} {instances.shape}",
            allowed=f"whole numbers {tuple(size)}",
            next_step="give the numbers of this very image, at its own size",
        )
    judged = target != IGNORE
    odd = judged & ((instances != 0) != (target != 0))
    if bool(odd.any()):
        row, column = np.argwhere(odd)[0].tolist()
        raise DataError(
            f"class map and numbers of nuclei of image {name} disagree where there are nuclei",
            value=f"{int(odd.sum())} pixels, first row {row}, column {column}: class {int(target[row, column])}, "
            f"number {int(instances[row, column])}",
            allowed="number 0 where the class is 0, and only there",
            next_step="make both from one source, or leave out the numbers",
        )
    numbers, classes = instances[judged & (instances != 0)].astype(np.int64), target[judged & (instances != 0)]
    pairs = np.unique(numbers * (IGNORE + 1) + classes) // (IGNORE + 1)
    twice = pairs[1:][pairs[1:] == pairs[:-1]]
    if len(twice):
        raise DataError(
            f"a nucleus of image {name} has two classes",
            value=f"number {int(twice[0])}",
            allowed="one class for each number",
            next_step="number the nuclei anew, or mend the class map",
        )
