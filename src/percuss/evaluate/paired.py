"""Two attacks, models or runs on the same images: the difference of their shares, with interval and McNemar's test.

Interval without patients: the adjusted Wald interval of A. Agresti and Y. Min, Statistics in Medicine 24 (2005)
729-740 (half an image is added to each of the four cells). With patients: bootstrap of whole patients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from percuss.core.errors import UsageError
from percuss.core.results import Interval
from percuss.evaluate.intervals import Clusters, mean


@dataclass(frozen=True)
class Paired:
    """Share of the first minus share of the second, on the same images.

    Attributes:
        difference: in [-1, 1].
        first_only, second_only: images on which they disagree, by which of the two has the flag.
        p_value: exact McNemar test, which takes images as independent; None where patients are known.
    """

    difference: Interval
    first_only: int
    second_only: int
    p_value: float | None


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_], clusters: Clusters) -> Paired:
    """Compare two flags per image ``[N]``, in the order of the clusters; UsageError where the numbers differ."""
    if not len(first) == len(second) == len(clusters.codes):
        value = f"{len(first)}, {len(second)} and {len(clusters.codes)} images"
        raise UsageError("a paired comparison needs the same images", value=value)
    ahead, behind = int((first & ~second).sum()), int((second & ~first).sum())
    if clusters.known:
        change = first.astype(np.float64) - second.astype(np.float64)
        found = mean(change, clusters, np.ones(len(first), dtype=bool))
        # A bootstrap without width claims certainty; one in between is not to be had from patients all alike.
        if found.low == found.high:
            found = found.model_copy(update={"low": None, "high": None, "method": "undefined: all patients alike"})
        return Paired(found, ahead, behind, None)
    p_value = float(binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
    return Paired(_adjusted_wald(ahead, behind, len(first)), ahead, behind, p_value)


def _adjusted_wald(ahead: int, behind: int, n: int) -> Interval:
    if n == 0:
        return Interval(value=None, low=None, high=None, n=0, method="undefined: no image")
    size, middle = n + 2, (ahead - behind) / (n + 2)
    half = float(norm.ppf(0.975)) * math.sqrt(((ahead + behind + 1) / size - middle**2) / size)
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Interval(value=(ahead - behind) / n, low=low, high=high, n=n, method="adjusted Wald, paired (Agresti-Min)")
