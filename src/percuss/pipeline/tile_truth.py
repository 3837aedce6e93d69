"""What is known of the cells of a tile, from outlines, a mask, the word that a slide is normal, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from percuss.data.slides.cells import UNJUDGED, covered, decided
from percuss.data.slides.drawn import read_groups
from percuss.data.slides.mask_pyramid import MaskPyramid, read_values
from percuss.data.slides.outlines import Outlines, fit, read_outlines
from percuss.data.slides.slide import Slide
from percuss.data.slides.view import View
from percuss.pipeline.tile_plan import Place, SlideJob, TilePlan
from percuss.pipeline.tile_sources import check_values

Cells = np.ndarray[Any, np.dtype[np.uint8]]


class Truth:
    """The truth of a slide's cells; close it when done.

    Attributes:
        outlines: of the slide, None where there are none.
        notes: what reading them settled by a rule.
    """

    def __init__(self, job: SlideJob, plan: TilePlan, slide: Slide) -> None:
        """Read the annotation; DataError where it is damaged or of another slide, UsageError without ``--values``."""
        self.outlines: Outlines | None = None
        self.notes: tuple[str, ...] = ()
        self._mask: MaskPyramid | None = None
        self._job, self._plan = job, plan
        if job.annotation is None:
            return
        if job.annotation.suffix.lower() == ".xml":
            found = read_outlines(job.annotation, groups=read_groups(plan.groups), mend=plan.mend)
            self.outlines = fit(found, height=slide.height, width=slide.width)
            self.notes = self.outlines.notes
            return
        check_values([job], plan.values)
        values = read_values(str(plan.values))
        self._mask = MaskPyramid(job.annotation, values=values, size=(slide.height, slide.width))

    def cells(self, view: View, place: Place) -> Cells:
        """Cells of a tile: uint8 ``[size / cell, size / cell]``, 0 normal, 1 tumour, 255 not judged."""
        plan, corner = self._plan, (place.row, place.column)
        count = plan.size // plan.cell
        if self._job.annotated == "none":
            return np.full((count, count), UNJUDGED, np.uint8)
        found = np.zeros((count, count), np.uint8)
        if self.outlines is not None:
            shares = covered(self.outlines, view, corner, side=plan.size, cell=plan.cell)
            found = decided(shares, plan.rule)
        elif self._mask is not None:
            tumour, judged = self._mask.shares(view, corner, side=plan.size, cell=plan.cell)
            found = decided(tumour, plan.rule)
            # Tumour by the rule stands; otherwise a cell that is not judged for the most part is not judged.
            found[(found == 0) & (judged < 0.5)] = UNJUDGED
        if self._job.partial and not self._job.outside:
            found[found == 0] = UNJUDGED
        return _within(found, view, corner, cell=plan.cell)

    def close(self) -> None:
        """Release the mask."""
        if self._mask is not None:
            self._mask.close()


def _within(found: Cells, view: View, corner: tuple[int, int], *, cell: int) -> Cells:
    """Cells with their centre beyond the slide are not judged."""
    for axis, size in enumerate((view.height, view.width)):
        centre = corner[axis] + (np.arange(found.shape[axis]) + 0.5) * cell
        beyond = centre >= size
        if axis == 0:
            found[beyond] = UNJUDGED
        else:
            found[:, beyond] = UNJUDGED
    return found


def sha256_of_slide(path: Path) -> str:
    """SHA-256 (hex) of a file; of a folder, that of its files' names and hashes in order."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of_slide(file)}\n".encode())
    return digest.hexdigest()
