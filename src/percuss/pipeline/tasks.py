"""Which commands know class maps."""

from __future__ import annotations

from percuss.core.errors import DataError
from percuss.core.images import DENSE, ImageSet


def refuse_maps(images: ImageSet, what: str) -> None:
    """DataError where the images have a class at every pixel, which ``what`` does not judge."""
    if images.task not in DENSE:
        return
    maps, judged = "a class at every pixel", "percuss audit, universal, transfer, survive and compare judge masks"
    if images.task == "heatmap":
        maps = "a truth for every cell"
        judged = (
            "percuss audit, universal, transfer, survive and compare judge heat maps; the report of an audit shows "
            "them before and after, and measures what changes go with"
        )
    raise DataError(
        f"the images have {maps}, which {what} does not judge",
        value=f"{images.spec}: task {images.task}",
        allowed="images with one class or several labels",
        next_step=judged,
    )
