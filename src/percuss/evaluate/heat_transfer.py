"""Transfer matrix of heat maps: the judged model's average precision on what was made elsewhere, and its drop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.core.transfer import NOISE, TransferCell, TransferHeat
from percuss.evaluate.curves import CONTROLS
from percuss.evaluate.heat_intervals import Counted, Units, area_interval, drop_interval
from percuss.evaluate.heat_scores import Array, number, ranked
from percuss.evaluate.heat_summary import pooled, stored_cells

_CELL = ["attack", "norm", "budget", "source", "target"]
#: One cell of the matrix: attack, norm, budget, source, target.
_Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class _Area:
    """Average precision of some maps, exact and counted by unit."""

    value: float | None
    counted: Counted


def heat_cells(
    cells: Sequence[TransferCell],
    rows: pd.DataFrame,
    clean: pd.DataFrame,
    *,
    models: Sequence[str],
    seed: int,
    partial: Sequence[str] = (),
) -> tuple[list[TransferCell], TransferHeat, list[Finding]]:
    """The cells with their average precision, what is known beside them, and doubts.

    Args:
        cells: of the same rows, without average precision.
        rows: one row per image and cell, images in the order of ``clean``, with ``scores`` and ``scores_stored``.
        clean: one row per image: group (slide), shape, truth, and ``scores_K`` of model number K.
        models: names in the order of their numbers.
        seed: of the bootstrap over slides.
        partial: slides whose outlines are known to leave out tumour.
    """
    groups = [str(name) for name in clean["group"]]
    shapes = [tuple(shape) for shape in clean["shape"]]
    truth = [stored_cells(item, shape, truth=True) for item, shape in zip(clean["truth"], shapes, strict=True)]
    maker = _Maker(Units.of(groups, seed), shapes, truth)
    untouched = {name: maker.area(clean[f"scores_{place}"]) for place, name in enumerate(models)}
    parts = {tuple(map(str, key)): part for key, part in rows.groupby(_CELL, sort=False)}
    areas: dict[_Key, _Area] = {}
    found = []
    for cell in cells:
        key = (cell.attack, cell.norm, cell.budget, cell.source, cell.target)
        here, stored = (maker.area(parts[key][column]) for column in ("scores", "scores_stored"))
        areas[key] = here
        drop = maker.drop(untouched[cell.target], here)
        found.append(replace(cell, auc_pr=maker.shown(here), auc_pr_stored=maker.shown(stored), drop=drop))
    whole = ranked(*pooled(list(zip(truth, truth, strict=True))))
    known = TransferHeat(
        null=number(whole.prevalence()),
        slides=maker.units.slides,
        clean={name: maker.shown(area) for name, area in untouched.items()},
        not_exhaustive=list(partial),
    )
    return found, known, [*_doubts(known), *_beaten(areas, maker)]


@dataclass(frozen=True)
class _Maker:
    """Counts maps of the same images with the same draws."""

    units: Units
    shapes: list[tuple[int, ...]]
    truth: list[Array]

    def area(self, scores: pd.Series) -> _Area:
        """Of one column of stored scores, in the order of the images."""
        maps = [
            (stored_cells(item, shape), cells)
            for item, shape, cells in zip(scores, self.shapes, self.truth, strict=True)
        ]
        value = number(ranked(*pooled(maps)).average_precision())
        return _Area(value, Counted.of(maps, self.units))

    def shown(self, area: _Area) -> Interval:
        return area_interval(area.value, area.counted, self.units)

    def drop(self, first: _Area, second: _Area) -> Interval:
        """How far the second lies below the first."""
        return drop_interval((first.value, second.value), (first.counted, second.counted), self.units)


def _doubts(known: TransferHeat) -> list[Finding]:
    found = []
    if known.not_exhaustive:
        names = ", ".join(known.not_exhaustive)
        text = (
            f"Outlines of {names} are known to leave out tumour: AUC-PR there counts tumour that nobody outlined as "
            "normal."
        )
        found.append(Finding("not-exhaustive", "warning", text, {"slides": known.not_exhaustive}))
    if known.slides == 1:
        text = "All tiles are of one slide: intervals are over its tiles and say nothing of other slides."
        found.append(Finding("one-slide", "warning", text, {"slides": 1}))
    return found


def _beaten(areas: dict[_Key, _Area], maker: _Maker) -> list[Finding]:
    """Attacks from elsewhere that leave a model a lower average precision than the same attack made on itself."""
    found = []
    for key, here in areas.items():
        attack, _, budget, source, target = key
        own = areas.get((*key[:3], target, target))
        if source in (NOISE, target) or attack in CONTROLS or own is None:
            continue
        worse = maker.drop(own, here)
        if worse.low is not None and worse.low > 0:
            text = (
                f"{attack} within {budget} made on {source} leaves {target} an AUC-PR of {here.value:.3f}, the same "
                f"attack made on {target} itself {own.value:.3f}: the gradients of {target} mislead, and its "
                "robustness is overstated."
            )
            evidence = {"source": source, "target": target, "attack": attack, "budget": budget}
            found.append(Finding("transfer-beats-white-box", "severe", text, evidence))
    return found
