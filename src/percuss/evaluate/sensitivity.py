"""Per-image sensitivity: the smallest size found that flips an image, censored above the largest size tried."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from percuss.core.results import Sensitivity
from percuss.evaluate.curves import WORST, Point


def smallest(found: list[Point], ids: list[str], *, stored: bool) -> pd.DataFrame:
    """Per image (index) and norm (columns) the smallest flipping eps of the worst case; infinity where none did."""
    columns: dict[str, np.ndarray] = {}
    for point in sorted((p for p in found if p.attack == WORST), key=lambda p: -p.eps):
        sizes = columns.setdefault(point.norm, np.full(len(ids), math.inf))
        sizes[point.stored if stored else point.flipped] = point.eps
    return pd.DataFrame(columns, index=pd.Index(ids, name="id"))


def sensitivities(found: list[Point], clean: pd.DataFrame) -> list[Sensitivity]:
    """Summary per norm, as float and as stored, over images right before the attack. The norm none has no size."""
    right = clean["correct"].to_numpy(dtype=bool)
    result = []
    for stored in (False, True):
        table = smallest(found, list(clean["id"]), stored=stored)
        for norm in (name for name in table.columns if name != "none"):
            sizes = np.sort(table[norm].to_numpy(dtype=np.float64)[right])
            flipped = int(np.isfinite(sizes).sum())
            result.append(
                Sensitivity(
                    norm=norm,
                    stored=stored,
                    n_correct=len(sizes),
                    n_flipped=flipped,
                    n_censored=len(sizes) - flipped,
                    quartiles=(_quantile(sizes, 0.25), _quantile(sizes, 0.5), _quantile(sizes, 0.75)),
                    largest_tried=max(p.eps for p in found if p.norm == norm and p.attack == WORST),
                )
            )
    return result


def _quantile(sizes: np.ndarray, share: float) -> float | None:
    """The smallest size at which that share is flipped; None where fewer ever were."""
    if not len(sizes):
        return None
    value = float(sizes[math.ceil(share * len(sizes)) - 1])
    return value if math.isfinite(value) else None
