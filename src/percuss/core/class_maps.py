"""Class maps as they come from a reader: of the image's size, of known classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError


def check_map(name: str, target: object, instances: Any, *, size: tuple[int, ...], classes: int) -> None:
    """DataError unless a target is a class map of its image's size, of known classes or ``IGNORE``.

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
    if instances is not None and instances.shape != size:
        raise DataError(
            f"the numbers of nuclei of image {name} do not fit it",
            value=f"{instances.shape}",
            allowed=f"{tuple(size)}",
            next_step="give the numbers of this very image, at its own size",
        )
