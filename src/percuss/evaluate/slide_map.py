"""Numbers of one whole slide's heat map, counted band by band so that the map is never held as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from percuss.core.dense import IGNORE
from percuss.evaluate.froc import SlideHits, judge_slide
from percuss.evaluate.heat_histogram import HeatHistogram
from percuss.evaluate.lesions import lesions_of, maxima

#: Most pixels along a side of the reduced map, which pictures, components and detections are taken from.
REDUCED = 2048
#: Probability from which a local maximum of the reduced map counts as a detection.
LEAST = 0.1
#: Components told of, the largest.
LARGEST = 5

Array = NDArray[np.floating[Any]]


class Reduced:
    """A map brought down by a whole number: means of blocks of ``factor`` by ``factor`` cells that have a value."""

    def __init__(self, height: int, width: int, most: int = REDUCED) -> None:
        self.factor = max(1, math.ceil(max(height, width) / most))
        self._shape = -(-height // self.factor), -(-width // self.factor)
        self._total, self._known = (np.zeros(self._shape, np.float32) for _ in range(2))
        self._starts = np.arange(0, width, self.factor)

    def add(self, values: Array, top: int) -> None:
        """Add rows of the map ``[rows, width]``, the first of which is row ``top``; NaN is no value."""
        rows = (top + np.arange(len(values))) // self.factor
        known = np.isfinite(values)
        np.add.at(self._total, rows, np.add.reduceat(np.where(known, values, 0.0), self._starts, 1, dtype=np.float64))
        np.add.at(self._known, rows, np.add.reduceat(known, self._starts, 1, dtype=np.float64))

    def map(self) -> Array:
        """The means ``[height / factor, width / factor]``, NaN where nothing is known."""
        with np.errstate(invalid="ignore"):
            found: Array = self._total / self._known
        return found


@dataclass(frozen=True)
class Component:
    """Connected places (8 neighbours) of the reduced map with a mean probability above one half.

    Attributes:
        area_mm2: their area in square millimetres.
        row, column: their centre in cells of the whole map.
        highest: the highest of their mean probabilities.
    """

    area_mm2: float
    row: float
    column: float
    highest: float


@dataclass
class SlideMap:
    """What is counted of a map while its bands pass.

    Attributes:
        height, width: of the map in cells.
        histogram: judged cells by score and truth; empty without a truth.
        judged, positive: cells with a score, and those of them above probability one half.
        missed: tumour cells without a score, in tiles that were left out.
        reduced: the map's probabilities, small.
        tumour: share of tumour among the cells whose truth is known, small.
    """

    height: int
    width: int
    histogram: HeatHistogram = field(default_factory=HeatHistogram.empty)
    judged: int = 0
    positive: int = 0
    missed: int = 0
    total: float = 0.0

    def __post_init__(self) -> None:
        self.reduced, self.tumour = (Reduced(self.height, self.width) for _ in range(2))
        self._top = 0

    def add(self, scores: Array, truth: NDArray[np.uint8] | None) -> None:
        """Count the next rows ``[rows, width]`` of logits (NaN: no score), with their truth where it is known."""
        known = np.isfinite(scores)
        probability = expit(scores.astype(np.float64))
        self.judged += int(known.sum())
        self.positive += int((scores[known] > 0).sum())
        self.total += float(probability[known].sum())
        self.reduced.add(probability, self._top)
        if truth is not None:
            self.histogram.add(scores[known], truth[known])
            self.missed += int((truth[~known] == 1).sum())
            self.tumour.add(np.where(truth == IGNORE, np.nan, truth == 1), self._top)
        self._top += len(scores)

    def numbers(self) -> dict[str, float | int | None]:
        """Mean probability and share above one half of the cells with a score; areas under the curve where known."""
        count = max(self.judged, 1)
        return {
            "cells": self.judged,
            "mean_probability": self.total / count if self.judged else None,
            "share_above_half": self.positive / count if self.judged else None,
            "auc_pr": self.histogram.auc_pr(),
            "trapezoid": self.histogram.trapezoid(),
            "prevalence": self.histogram.prevalence(),
            "judged_cells": self.histogram.cells,
            "tumour_cells_left_out": self.missed,
        }

    def hits(self, name: str, cell_um: float) -> SlideHits:
        """The slide judged as CAMELYON16 does, on the reduced map; its score is the highest probability there."""
        um = cell_um * self.reduced.factor
        share, values = self.tumour.map(), self.reduced.map()
        truth = np.where(np.isfinite(share), share >= 0.5, IGNORE).astype(np.uint8)
        found = maxima(values, um=um, least=LEAST)
        top = float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
        return judge_slide(name, found, lesions_of(truth, um=um), score=top)

    def components(self, cell_um: float) -> list[Component]:
        """The largest components, largest first; ``cell_um`` is the side of a cell in micrometres."""
        found = self.reduced.map()
        labels, count = ndimage.label(np.nan_to_num(found) > 0.5, np.ones((3, 3)))
        if not count:
            return []
        names = np.arange(1, count + 1)
        sizes = ndimage.sum_labels(np.ones_like(labels), labels, names)
        side = cell_um * self.reduced.factor / 1000
        kept = names[np.argsort(-sizes, kind="stable")[:LARGEST]]
        centres = ndimage.center_of_mass(labels > 0, labels, kept)
        peaks = ndimage.maximum(np.nan_to_num(found), labels, kept)
        factor = self.reduced.factor
        return [
            Component(float(sizes[name - 1]) * side**2, (row + 0.5) * factor, (column + 0.5) * factor, float(peak))
            for name, (row, column), peak in zip(kept.tolist(), centres, np.atleast_1d(peaks), strict=True)
        ]
