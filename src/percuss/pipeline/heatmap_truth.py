"""What is known of a slide's tumour for any band of its map, by the rules with which tiles are cut."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from percuss.data.slides.outlines import Outlines
from percuss.data.slides.slide import Slide
from percuss.data.slides.view import View
from percuss.pipeline.tile_plan import Place, SlideJob, TilePlan
from percuss.pipeline.tile_truth import Truth

Cells = NDArray[np.uint8]


@dataclass
class SlideTruth:
    """The truth of one slide, whose cells may be asked for in squares of any side.

    Attributes:
        job, plan: the slide with its annotation, and how cells come from it.
        slide: the open slide.
    """

    job: SlideJob
    plan: TilePlan
    slide: Slide
    _by_side: dict[int, Truth] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``outlines``, ``mask`` or ``normal``."""
        if self.job.annotation is None:
            return "normal"
        return "outlines" if self.outlines is not None else "mask"

    @property
    def outlines(self) -> Outlines | None:
        """The outlines, where there are any."""
        return self._of(self.plan.size).outlines

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading the annotation settled by a rule."""
        return self._of(self.plan.size).notes

    def tile(self, view: View, corner: tuple[int, int], *, side: int) -> Cells:
        """0 normal, 1 tumour, 255 not judged for the cells of a square, uint8 ``[side / cell, side / cell]``."""
        row, column = corner
        place = Place(row, column, round(row * view.scale), round(column * view.scale))
        found: Cells = self._of(side).cells(view, place)
        return found

    def band(self, view: View, top: int, size: tuple[int, int]) -> Cells:
        """The same for rows of the map from cell ``top`` on, uint8 ``[size]`` in cells."""
        (height, width), cell = size, self.plan.cell
        parts = [self.tile(view, (top * cell, left * cell), side=height * cell) for left in range(0, width, height)]
        return np.concatenate(parts, 1)[:, :width]

    def close(self) -> None:
        """Release the mask's file."""
        for truth in self._by_side.values():
            truth.close()

    def _of(self, side: int) -> Truth:
        if side not in self._by_side:
            self._by_side[side] = Truth(self.job, replace(self.plan, size=side, stride=None), self.slide)
        return self._by_side[side]


def truth_of(job: SlideJob, plan: TilePlan, slide: Slide) -> SlideTruth | None:
    """The truth of a slide; None where nothing is known. DataError or UsageError where its file cannot be used."""
    if job.annotated == "none":
        return None
    truth = SlideTruth(job, plan, slide)
    assert truth.kind  # read now, so that a damaged file is told before any tile is judged
    return truth
