"""Audits of the same heat maps set against each other: paired differences of the average precision over all cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from percuss.core.comparison import CLEAN, HeatContrast
from percuss.core.errors import RunError
from percuss.core.results import HeatPoint, Interval
from percuss.evaluate.comparison import Cell, cell_of
from percuss.evaluate.curves import CONTROLS, WORST
from percuss.evaluate.heat_intervals import Counted, Units, area_interval, drop_interval
from percuss.evaluate.heat_scores import Array, number, ranked
from percuss.evaluate.heat_summary import pooled, stored_cells


@dataclass(frozen=True)
class _Area:
    """Average precision of the maps at one budget, exact and counted by unit."""

    budget: str
    value: float | None
    counted: Counted


#: Areas by attack, norm, size and way of storing.
_Held = dict[tuple[Cell, bool], _Area]


def compare_heat(
    tables: Mapping[str, pd.DataFrame], ids: Sequence[str], groups: Sequence[str], *, seed: int
) -> list[HeatContrast]:
    """Every pair of runs without attack, at each attack and in the worst case, at each size that all of them tried.

    Args:
        tables: dense.parquet of each run, by its name.
        ids: the images that all runs judged; ``groups`` the slide of each, empty where unknown.
        seed: of the bootstrap over slides (tiles where there is one slide); both runs of a pair share its draws.

    Raises:
        RunError: a table without one of the images, or truths that differ.
    """
    units = Units.of(groups, seed)
    truth = _truth(tables, ids)
    held = {name: _held(table, ids, (units, truth)) for name, table in tables.items()}
    shared = [key for key in next(iter(held.values())) if all(key in other for other in held.values())]
    found = []
    for (attack, norm, eps), stored in shared:
        for one, two in itertools.combinations(held, 2):
            first, second = (held[name][(attack, norm, eps), stored] for name in (one, two))
            each = [area_interval(area.value, area.counted, units) for area in (first, second)]
            each.append(drop_interval((first.value, second.value), (first.counted, second.counted), units))
            size = eps if math.isfinite(eps) else None
            found.append(HeatContrast(one, two, attack, norm, first.budget, size, stored, *each))
    return found


def _truth(tables: Mapping[str, pd.DataFrame], ids: Sequence[str]) -> list[Array]:
    """The truth of each image; RunError where the runs hold different ones."""
    first: list[Array] = []
    for name, table in tables.items():
        rows = _ordered(table[table["attack"] == "clean"], ids)
        found = [stored_cells(row["truth"], row["shape"], truth=True) for _, row in rows.iterrows()]
        first = first or found
        for case, one, other in zip(ids, first, found, strict=True):
            if not np.array_equal(one, other):
                raise RunError("the runs judged an image by different truths", value=f"{case} of {name}")
    return first


def _held(table: pd.DataFrame, ids: Sequence[str], known: tuple[Units, list[Array]]) -> _Held:
    """The areas of one run: without attack, in the worst case, and of each attack."""
    chosen = table[table["id"].isin(set(ids))]
    plain, attacked = chosen[chosen["attack"] == "clean"], chosen[chosen["attack"] != "clean"]
    found: _Held = {((CLEAN, "", 0.0), False): _area(plain, ids, known)}
    each: _Held = {}
    for (attack, norm, _, state), part in attacked.groupby(["attack", "norm", "budget", "state"], sort=False):
        key = cell_of(str(attack), str(norm), float(part["eps"].iloc[0]))
        each[key, state == "stored"] = _area(part, ids, known)
    return found | _worst(attacked, each, ids, known) | each


def _worst(attacked: pd.DataFrame, each: _Held, ids: Sequence[str], known: tuple[Units, list[Array]]) -> _Held:
    """The lowest at each size or a smaller one, as in ``heat_summary``: of attacks, and of each image's worst loss."""
    found: _Held = {}
    real = attacked[~attacked["attack"].isin(CONTROLS)].sort_values("loss", ascending=False, kind="stable")
    for (norm, state), line in real.groupby(["norm", "state"], sort=False):
        tried: list[_Area] = []
        for eps in sorted(line["eps"].unique()):
            pick = line[line["eps"] <= eps].drop_duplicates("id")
            # Sizes are equal as the keys have them.
            key = cell_of(WORST, str(norm), float(eps))
            here = [
                area
                for ((attack, own, size), stored), area in each.items()
                if (own, size, stored) == (norm, key[2], state == "stored") and attack not in CONTROLS
            ]
            tried += [_area(pick, ids, known), *here]
            best = min(tried, key=lambda area: math.inf if area.value is None else area.value)
            found[key, state == "stored"] = _Area(here[0].budget, best.value, best.counted)
    return found


def _area(rows: pd.DataFrame, ids: Sequence[str], known: tuple[Units, list[Array]]) -> _Area:
    units, truth = known
    ordered = _ordered(rows, ids)
    scores = (stored_cells(row["scores"], row["shape"]) for _, row in ordered.iterrows())
    maps = list(zip(scores, truth, strict=True))
    value = number(ranked(*pooled(maps)).average_precision())
    return _Area(str(ordered["budget"].iloc[0]), value, Counted.of(maps, units))


def _ordered(rows: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """The rows of some images in their order; RunError where one is missing or stands twice."""
    found = rows[rows["id"].isin(set(ids))].set_index("id")
    if len(found) != len(ids) or set(found.index) != set(ids):
        missing = next((name for name in ids if name not in found.index), ids[0])
        raise RunError("rows are missing in the dense table", value=missing)
    return found.loc[list(ids)]


def paired_gap(table: pd.DataFrame, first: HeatPoint, second: HeatPoint, *, seed: int) -> Interval:
    """The average precision of one point of a run less that of another, on the same tiles with the same draws.

    Args:
        table: dense.parquet of the run.
        first, second: points of attacks of the run (not ``worst``).
        seed: of the bootstrap over slides (tiles where there is one slide).

    Raises:
        RunError: a point whose maps the table does not hold.
    """
    plain = table[table["attack"] == "clean"]
    ids = [str(name) for name in plain["id"]]
    units = Units.of([str(name) if isinstance(name, str) else "" for name in plain["group"]], seed)
    known = units, _truth({"the run": table}, ids)
    areas = []
    for point in (first, second):
        same = (table["attack"] == point.attack) & (table["norm"] == point.norm) & (table["budget"] == point.budget)
        areas.append(_area(table[same & (table["state"] == ("stored" if point.stored else "float"))], ids, known))
    return drop_interval((areas[0].value, areas[1].value), (areas[0].counted, areas[1].counted), units)
