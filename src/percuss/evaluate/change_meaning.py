"""Does a change go with what the image shows? Measured, each beside noise that has the change's own sizes.

- ``slope``: of the radially averaged power spectrum, log power over log frequency; 0 for white noise, lower for a
  smooth change (natural images are near -2).
- ``haematoxylin``: correlation of the size of the change at a pixel with the amount of haematoxylin there.
- ``nuclei``: the same with being in a nucleus (much haematoxylin by Otsu's threshold, or a mask where one is given).
- ``tumour``: share of the change's energy in tumour cells over their share of the judged area; 1 where it does not
  care.

The noise is the change itself with its pixels at other places (``percuss.core.shuffle``): the same L2, the same scale
of each channel, and no place of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.core.seeds import ImageRandom
from percuss.core.shuffle import shuffle_pixels
from percuss.evaluate.stains import haematoxylin, nuclei

Array = np.ndarray[Any, Any]
#: The measures in the order of the tables.
MEASURES = ("slope", "haematoxylin", "nuclei", "tumour")
_NOTHING = 1e-12


@dataclass(frozen=True)
class Changes:
    """Images before and after one attack at one size.

    Attributes:
        ids, groups: image and slide (empty where unknown), ``N`` each.
        clean, changed: in [0, 1], ``[N, C, H, W]``; stains need three channels, and are NaN elsewhere.
        truth: uint8 cells ``[N, h, w]``, 0 normal, 1 tumour, 255 not judged.
        attack, norm, budget: what was done.
        nuclei: bool ``[N, H, W]`` where masks are known; else found by haematoxylin.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    clean: Array
    changed: Array
    truth: Array
    attack: str
    norm: str
    budget: str
    nuclei: Array | None = None


def meanings(given: Changes, *, seed: int = 0) -> pd.DataFrame:
    """One row per image and measure: id, group, attack, norm, budget, measure, change, noise.

    A value is NaN where it is not defined: no change at all, one level of haematoxylin, no tumour cell in the truth.

    Args:
        given: the images.
        seed: of the noise; with the image's id and what was done it decides the places.

    Raises:
        DataError: shapes that do not fit each other.
    """
    _check(given)
    rows = []
    for place, name in enumerate(given.ids):
        clean = np.asarray(given.clean[place], dtype=np.float64)
        change = np.asarray(given.changed[place], dtype=np.float64) - clean
        rng = ImageRandom(seed, [name], f"meaning|{given.attack}|{given.norm}|{given.budget}")
        noise = shuffle_pixels(torch.from_numpy(change)[None], rng)[0].numpy()
        seen = _Shown.of(clean, given.truth[place], None if given.nuclei is None else given.nuclei[place])
        both = [measures(item, seen) for item in (change, noise)]
        what = {"id": name, "group": given.groups[place] or "", "attack": given.attack, "norm": given.norm}
        what |= {"budget": given.budget}
        rows += [what | {"measure": key, "change": both[0][key], "noise": both[1][key]} for key in MEASURES]
    return pd.DataFrame(rows, columns=["id", "group", "attack", "norm", "budget", "measure", "change", "noise"])


def _check(given: Changes) -> None:
    count, sizes = len(given.ids), {given.clean.shape, given.changed.shape}
    if len(sizes) != 1 or len(given.truth) != count or len(given.clean) != count or len(given.groups) != count:
        raise DataError(
            "changes and truths do not fit each other",
            value=f"{count} ids, {given.clean.shape}, {given.changed.shape}, truth {given.truth.shape}",
            allowed="one clean image, changed image and truth for each id",
        )
    cell_of(given.clean.shape[-2:], given.truth.shape[-2:])


def cell_of(pixels: Sequence[int], cells: Sequence[int]) -> int:
    """Side of a cell in pixels; DataError where the cells do not tile the image."""
    side = pixels[0] // max(cells[0], 1)
    if side < 1 or tuple(side * count for count in cells) != tuple(pixels):
        raise DataError("the cells do not tile the image", value=f"{tuple(cells)} cells on {tuple(pixels)} pixels")
    return side


@dataclass(frozen=True)
class _Shown:
    """What an image shows at each pixel: haematoxylin, nuclei and truth (255 not judged), ``[H, W]``."""

    stain: Array | None
    nuclei: Array | None
    truth: Array

    @classmethod
    def of(cls, clean: Array, truth: Array, mask: Array | None) -> _Shown:
        colour = len(clean) == 3
        side = cell_of(clean.shape[-2:], truth.shape)
        wide = np.repeat(np.repeat(truth, side, axis=0), side, axis=1)
        found = mask if mask is not None else nuclei(clean) if colour else None
        return cls(haematoxylin(clean) if colour else None, found, wide)


def measures(change: Array, shown: _Shown) -> dict[str, float]:
    """Every measure of one change ``[C, H, W]``; NaN where undefined."""
    energy = (change**2).sum(0)
    size = np.sqrt(energy)
    return {
        "slope": spectrum_slope(change),
        "haematoxylin": np.nan if shown.stain is None else correlation(size, shown.stain),
        "nuclei": np.nan if shown.nuclei is None else correlation(size, np.asarray(shown.nuclei, dtype=np.float64)),
        "tumour": tumour_share(energy, shown.truth),
    }


def spectrum_slope(change: Array) -> float:
    """Slope of log power over log frequency of the radially averaged spectrum; NaN where nothing changes.

    Power is summed over channels and averaged over rings one frequency step wide, from one cycle per image (of the
    shorter side) to half a cycle per pixel; a straight line is fitted, each ring weighed by its number of frequencies.

    Args:
        change: ``[C, H, W]``.
    """
    power = (np.abs(np.fft.fft2(change)) ** 2).sum(0)
    step = 1 / min(change.shape[-2:])
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side) for side in change.shape[-2:]), indexing="ij"))
    ring = np.rint(radius / step).astype(np.int64)
    used = (ring >= 1) & (radius <= 0.5)
    count = np.bincount(ring[used])
    there = count > 0
    mean, middle = (np.bincount(ring[used], values[used])[there] / count[there] for values in (power, radius))
    if len(mean) < 2 or mean.sum() < _NOTHING**2 or (mean <= 0).any():
        return float("nan")
    return float(np.polyfit(np.log(middle), np.log(mean), 1, w=np.sqrt(count[there]))[0])


def correlation(first: Array, second: Array) -> float:
    """Pearson's correlation over pixels; NaN where one of the two is the same everywhere."""
    one, two = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum() / spread) if spread > _NOTHING else float("nan")


def tumour_share(energy: Array, truth: Array) -> float:
    """Share of the energy that lies in tumour over tumour's share of the area, of judged pixels; NaN without either."""
    judged: NDArray[np.bool_] = truth != IGNORE
    tumour = truth == 1
    total, area = float(energy[judged].sum()), float(tumour.sum()) / max(int(judged.sum()), 1)
    return float(energy[tumour].sum()) / total / area if total > _NOTHING**2 and area > 0 else float("nan")
