"""Which commands know class maps."""

from __future__ import annotations

from percuss.core.errors import DataError
from percuss.core.images import DENSE, ImageSet


def refuse_maps(images: ImageSet, what: str) -> None:
    """DataError where the images have a class at every pixel, which ``what`` does not judge."""
    if images.task in DENSE:
        raise DataError(
            f"the images have a class at every pixel, which {what} does not judge",
            value=f"{images.spec}: task segment",
            allowed="images with one class or several labels",
            next_step="percuss audit, universal, transfer, survive and compare judge masks",
        )
