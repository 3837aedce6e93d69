"""How far a map of importance moves under an attack, beside what noise of the same size does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from percuss.core.errors import DataError
from percuss.core.seeds import ImageRandom
from percuss.core.shuffle import shuffle_pixels

Floats = NDArray[np.float64]
#: What is measured, in the order of the tables, in words.
MEASURES = {
    "rank": "rank correlation of the two maps (Spearman)",
    "overlap": "share of the most important pixels that are the same",
    "shift": "shift of the centre of mass, in pixels",
}


@dataclass(frozen=True)
class Drift:
    """Per image, ``[N]``: Spearman's rank correlation (-1 to 1), overlap of the top pixels (0 to 1), shift of the
    centre of mass in pixels (0 or more). NaN where a map has nothing to rank (all alike) or no mass.
    """

    rank: Floats
    overlap: Floats
    shift: Floats


def drift(before: Tensor, after: Tensor, *, top: float = 0.1) -> Drift:
    """Compare two maps of each image.

    Args:
        before, after: maps ``[N, H, W]``, 0 or more, in the same order.
        top: share of the pixels that count as most important; equal values are taken in reading order.

    Identical maps give exactly 1, 1 and 0. Raises DataError where the maps do not fit each other, hold values below
    0 or not finite, or ``top`` is no share.
    """
    if before.shape != after.shape or before.dim() != 3:
        raise DataError("the maps do not fit each other", value=f"{tuple(before.shape)}, {tuple(after.shape)}")
    if not 0 < top <= 1:
        raise DataError("the share of top pixels is out of range", value=top, allowed="above 0, at most 1")
    one, two = (maps.double().numpy() for maps in (before, after))
    if any(not np.isfinite(maps).all() or (maps < 0).any() for maps in (one, two)):
        raise DataError("the maps hold values below 0 or not finite", allowed="0 or more")
    pairs = list(zip(one, two, strict=True))
    return Drift(
        np.array([_rank(a.ravel(), b.ravel()) for a, b in pairs], dtype=np.float64),
        np.array([_overlap(a.ravel(), b.ravel(), top) for a, b in pairs], dtype=np.float64),
        np.array([float(np.hypot(*(_centre(a) - _centre(b)))) for a, b in pairs], dtype=np.float64),
    )


def _rank(one: Floats, two: Floats) -> float:
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return float("nan")
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (one, two))
    if np.array_equal(a, b):
        return 1.0
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _overlap(one: Floats, two: Floats, top: float) -> float:
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return float("nan")
    count = max(1, round(top * len(one)))
    a, b = (np.argsort(-values, kind="stable")[:count] for values in (one, two))
    return len(np.intersect1d(a, b, assume_unique=True)) / count


def _centre(values: Floats) -> Floats:
    mass = values.sum()
    if mass == 0:
        return np.full(2, np.nan)
    rows, columns = np.indices(values.shape)
    return np.array([(rows * values).sum() / mass, (columns * values).sum() / mass])


def same_size_noise(clean: Tensor, attacked: Tensor, rng: ImageRandom, *, region: Tensor | None = None) -> Tensor:
    """Clean images with the very values of the attack's change, at shuffled pixels and with random signs.

    Args:
        clean, attacked: float ``[N, C, H, W]`` in [0, 1].
        rng: one generator per image; a row does not depend on the others.
        region: bool ``[N, H, W]``, where the attack could change pixels; the noise stays there too.

    The change has the same linf, l2, l1 and l0 size as the attack's, unless values are cut to [0, 1]: a sign that
    would leave the range is turned, so this happens only to values that fit neither way.
    """
    moved = shuffle_pixels(attacked - clean, rng, region)
    signs = (rng.uniform((moved.shape[1], moved[0, 0].numel())) < 0.5).to(moved.device).view_as(moved)
    moved = torch.where(signs, moved, -moved)
    leaves = (clean + moved < 0) | (clean + moved > 1)
    return (clean + torch.where(leaves, -moved, moved)).clamp(0, 1)
