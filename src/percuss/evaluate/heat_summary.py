"""What an audit of heat maps found: average precision of cells per attack and budget, with intervals over slides.

The scores are those of ``dense.parquet``: half-precision logits of every cell, so that the pooled number is exact for
what is stored. ``worst`` is the lowest: of each image the map with the highest cross-entropy over the attacks that are
no controls, at this size or a smaller one, pooled; or a single attack's maps, or those of a smaller size, where their
pooled average precision is lower still. So it never rises with the size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from percuss.core.errors import RunError
from percuss.core.results import Heat, HeatPoint
from percuss.evaluate.change_summary import meaning_summary
from percuss.evaluate.curves import CONTROLS, WORST
from percuss.evaluate.heat_intervals import Counted, Units, area_interval, slide_mean
from percuss.evaluate.heat_scores import Array, average_precision, number, ranked

CLEAN = "clean"
_KEY = ["attack", "norm", "budget", "state"]
_AGAIN = "start the audit anew"


def heat_summary(table: pd.DataFrame, *, cell: int, seed: int, meaning: pd.DataFrame | None = None) -> Heat:
    """Numbers of heat maps from dense.parquet.

    Args:
        table: one row per image, attack (``clean`` for the unattacked), budget and state (``float`` or ``stored``):
            id, group (slide), attack, norm, budget, eps, state, loss, shape ``[h, w]``, scores (float16 logits as
            bytes, row by row) and, in clean rows, truth (uint8 cells as bytes; 255 not judged).
        cell: side of a cell in pixels.
        seed: of the bootstrap.
        meaning: rows of ``percuss.evaluate.change_meaning.meanings``, where they were measured.

    Returns:
        The clean point, one per attack, budget and state, and ``worst``. Slides whose outlines are not exhaustive are
        for the caller to name: the table does not know them.

    Raises:
        RunError: no clean row, rows missing or doubled, or scores that do not fill their shape.
    """
    twice = table.duplicated(["id", *_KEY])
    if twice.any():
        first = table[twice].iloc[0]
        value = f"{first['id']}, {first['attack']} at {first['budget']}, {first['state']}"
        raise RunError("two rows of one image in the dense table", value=value, next_step=_AGAIN)
    clean = table[table["attack"] == CLEAN].set_index("id")
    if not len(clean):
        raise RunError("the dense table has no row of unattacked images", next_step=_AGAIN)
    groups = [str(name) if isinstance(name, str) else "" for name in clean["group"]]
    truth = {str(name): _cells(row, "truth") for name, row in clean.iterrows()}
    maker = _Maker(Units.of(groups, seed), clean.index, groups, truth)
    start = maker.point(clean, stored=True)
    attacked = table[table["attack"] != CLEAN]
    return Heat(
        cell=cell,
        null=start.prevalence if start.cells else None,
        slides=maker.units.slides,
        clean=start,
        points=_points(attacked, maker),
        meaning=[] if meaning is None else meaning_summary(meaning, seed=seed),
    )


def _points(attacked: pd.DataFrame, maker: _Maker) -> list[HeatPoint]:
    """Every attack by rising size, then the worst of each norm by rising size."""
    found: list[HeatPoint] = []
    parts: dict[tuple[str, str], list[_Part]] = {}
    for (attack, norm), line in attacked.groupby(["attack", "norm"], sort=False):
        for (_, state), rows in line.sort_values("eps", kind="stable").groupby(["budget", "state"], sort=False):
            point = maker.point(rows.set_index("id"), stored=state == "stored")
            found.append(point)
            if attack not in CONTROLS:
                parts.setdefault((str(norm), str(state)), []).append(_Part(rows, point))
    worst = [point for key in parts for point in _worst(parts[key], maker)]
    return found + sorted(worst, key=lambda point: (point.norm, _size(point.eps)))


@dataclass(frozen=True)
class _Part:
    """Rows of one attack at one size, and what they give."""

    rows: pd.DataFrame
    point: HeatPoint


def _worst(parts: Sequence[_Part], maker: _Maker) -> list[HeatPoint]:
    """The worst point at each size of one norm and state, smallest size first."""
    found: list[HeatPoint] = []
    tried: list[HeatPoint] = []
    for eps in sorted({_size(part.point.eps) for part in parts}):
        here = [part for part in parts if _size(part.point.eps) == eps]
        rows = pd.concat([part.rows for part in parts if _size(part.point.eps) <= eps])
        pick = rows.sort_values("loss", ascending=False, kind="stable").drop_duplicates("id")
        tried += [maker.point(pick.set_index("id"), stored=here[0].point.stored), *(part.point for part in here)]
        # The point that was lowest at a smaller size stands among those tried.
        best = min(tried, key=lambda point: math.inf if point.auc_pr.value is None else point.auc_pr.value)
        where = {"attack": WORST, "budget": here[0].point.budget, "eps": here[0].point.eps}
        found.append(best.model_copy(update=where))
    return found


@dataclass(frozen=True)
class _Maker:
    """Makes points whose intervals share their draws."""

    units: Units
    order: pd.Index[str]
    groups: list[str]
    truth: dict[str, Array]

    def maps(self, rows: pd.DataFrame) -> list[tuple[Array, Array]]:
        """Scores and truth of each image, in the order of the clean rows; RunError where images are missing."""
        if len(rows) != len(self.order) or set(rows.index) != set(self.order):
            first = rows.iloc[0]
            value = f"{first['attack']} at {first['budget']} has {len(rows)} of {len(self.order)}"
            raise RunError("rows are missing in the dense table", value=value, next_step=_AGAIN)
        ordered = rows.reindex(self.order)
        return [(_cells(row, "scores"), self.truth[str(name)]) for name, row in ordered.iterrows()]

    def point(self, rows: pd.DataFrame, *, stored: bool) -> HeatPoint:
        first, maps = rows.iloc[0], self.maps(rows)
        whole, counted = ranked(*pooled(maps)), Counted.of(maps, self.units)
        return HeatPoint(
            attack=str(first["attack"]),
            norm=str(first["norm"]),
            budget=str(first["budget"]),
            eps=float(first["eps"]) if math.isfinite(first["eps"]) else None,
            stored=stored,
            auc_pr=area_interval(number(whole.average_precision()), counted, self.units),
            auc_pr_binned=counted.fine.auc_pr(),
            trapezoid=number(whole.trapezoid()),
            by_slide=slide_mean(*self._slides(maps), self.units),
            prevalence=number(whole.prevalence()) or 0.0,
            cells=counted.fine.cells,
        )

    def _slides(self, maps: list[tuple[Array, Array]]) -> tuple[list[float | None], list[int]]:
        """Average precision of each slide by itself, and its unit."""
        values, codes = [], []
        for slide in dict.fromkeys(name for name in self.groups if name):
            places = [place for place, name in enumerate(self.groups) if name == slide]
            values.append(average_precision(*pooled([maps[place] for place in places])))
            codes.append(int(self.units.clusters.codes[places[0]]))
        return values, codes


def pooled(maps: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The scores and the truth of all cells of some maps, each in a row."""
    scores, truth = zip(*((values.ravel(), cells.ravel()) for values, cells in maps), strict=True)
    return np.concatenate(scores), np.concatenate(truth)


def _cells(row: pd.Series, column: str) -> Array:
    return stored_cells(row[column], row["shape"], truth=column == "truth")


def stored_cells(content: bytes, shape: Sequence[int], *, truth: bool = False) -> Array:
    """Scores (float16) or truth (uint8) as a run stores them, ``[h, w]``; RunError where they do not fill the shape."""
    sides = tuple(int(side) for side in shape)
    found = np.frombuffer(content, dtype=np.uint8 if truth else "<f2")
    if found.size != math.prod(sides):
        what = "truth" if truth else "scores"
        raise RunError(
            f"the {what} of a heat map do not fill its shape", value=f"{found.size} of {sides}", next_step=_AGAIN
        )
    return found.reshape(sides)


def _size(eps: float | None) -> float:
    return math.inf if eps is None else eps
