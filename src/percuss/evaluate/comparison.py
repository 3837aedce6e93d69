"""Finished audits of the same images set against each other: paired differences of robust accuracy.

Each pair of runs, at each attack (and the worst case) and size they share: the shares with their intervals, the
difference with its interval, the images on which they disagree, and the exact McNemar test. Many comparisons are
corrected after S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70, within one attack and one way of storing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from percuss.core.comparison import CLEAN, Contrast, Standing
from percuss.evaluate.curves import Point, points
from percuss.evaluate.intervals import Clusters, proportion
from percuss.evaluate.paired import paired_difference

#: Attack, norm and size (nine digits): what must agree for two cells to be the same.
Cell = tuple[str, str, float]


@dataclass(frozen=True)
class Side:
    """One run: its name, its rows and its clean table, restricted to the shared images in one order for all sides."""

    name: str
    rows: pd.DataFrame
    clean: pd.DataFrame


def cell_of(attack: str, norm: str, eps: float) -> Cell:
    """The key under which cells of runs meet: sizes written differently but equal are equal."""
    return attack, norm, float(f"{eps:.9g}")


def compare_sides(sides: Sequence[Side], groups: Sequence[str], *, seed: int) -> tuple[list[Standing], list[Contrast]]:
    """Where each side stands at each shared cell, and every pair of sides set against each other.

    Args:
        sides: at least two, with clean tables of the same ids in the same order.
        groups: patient of each image, empty where unknown.
        seed: of the bootstrap over patients.
    """
    clusters = Clusters.of(groups, seed)
    flags = [flags_of(side) for side in sides]
    shared = [cell for cell in flags[0] if all(cell in other for other in flags)]
    standing = [
        _standing(side.name, cell, found[cell], clusters)
        for cell in shared
        for side, found in zip(sides, flags, strict=True)
    ]
    contrasts = []
    for cell in shared:
        for (a, first), (b, second) in itertools.combinations(zip(sides, flags, strict=True), 2):
            one, two = first[cell], second[cell]
            for stored in (False, True) if cell[0] != CLEAN else (False,):
                paired = paired_difference(one.right(stored), two.right(stored), clusters)
                contrasts.append(Contrast(a.name, b.name, *_where(one, cell), stored, **vars(paired)))
    return standing, _holm(contrasts)


@dataclass(frozen=True)
class Flags:
    """Images still right at one cell, ``[N]``, in full precision and as stored; the budget as it was given."""

    budget: str
    float_right: NDArray[np.bool_]
    stored_right: NDArray[np.bool_]

    def right(self, stored: bool) -> NDArray[np.bool_]:
        """The flags of one of the two ways to judge."""
        return self.stored_right if stored else self.float_right


def flags_of(side: Side) -> dict[Cell, Flags]:
    """Which images of a side are right at each of its cells, in the order of its clean table."""
    right = side.clean["correct"].to_numpy(dtype=bool)
    found = {(CLEAN, "", 0.0): Flags("", right, right)}
    listed: list[Point] = points(side.rows, side.clean)
    for point in listed:
        key = cell_of(point.attack, point.norm, point.eps)
        found[key] = Flags(point.budget, right & ~point.flipped, right & ~point.stored)
    return found


def _where(flags: Flags, cell: Cell) -> tuple[str, str, str, float | None]:
    attack, norm, eps = cell
    return attack, norm, flags.budget, eps if np.isfinite(eps) else None


def _standing(name: str, cell: Cell, flags: Flags, clusters: Clusters) -> Standing:
    shares = proportion(flags.float_right, clusters), proportion(flags.stored_right, clusters)
    return Standing(name, *_where(flags, cell), *shares)


def _holm(contrasts: list[Contrast]) -> list[Contrast]:
    found = list(contrasts)
    families: dict[tuple[str, bool], list[int]] = {}
    for i, item in enumerate(contrasts):
        if item.p_value is not None:
            families.setdefault((item.attack, item.stored), []).append(i)
    for members in families.values():
        order = sorted(members, key=lambda i: contrasts[i].p_value or 0.0)
        before = 0.0
        for rank, i in enumerate(order):
            p_value = contrasts[i].p_value or 0.0
            before = max(before, min(1.0, p_value * (len(order) - rank)))
            found[i] = Contrast(**{**vars(contrasts[i]), "p_holm": before})
    return found
