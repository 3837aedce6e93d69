"""Which tasks the runs on disk know so far."""

from __future__ import annotations

from percuss.core.errors import DataError
from percuss.core.images import ImageSet


def refuse_maps(images: ImageSet) -> None:
    """DataError where the images have a class at every pixel: trainings and audits judge whole images so far."""
    if images.task == "segment":
        raise DataError(
            "the images have a class at every pixel, which trainings and audits do not judge yet",
            value=f"{images.spec}: task segment",
            allowed="images with one class or several labels",
            next_step="percuss.attack and percuss.curve in Python attack segmenters",
        )
