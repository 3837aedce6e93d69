"""What a comparison of finished audits gives: where each run stands, and each pair of runs set against each other."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.results import Interval

#: The attack of the rows that compare performance without attack.
CLEAN = "no attack"


@dataclass(frozen=True)
class Standing:
    """One run at one attack and size: the share of all shared images still right, as float and as stored.

    ``no attack`` has empty norm and budget; ``eps`` is None where there is no limit.
    """

    side: str
    attack: str
    norm: str
    budget: str
    eps: float | None
    robust: Interval
    robust_stored: Interval


@dataclass(frozen=True)
class Between:
    """Which two runs are set against each other, and where.

    Attributes:
        first, second: names of the runs.
        attack, norm, budget, eps: where, as in ``Standing``.
        stored: judged on the images as stored.
    """

    first: str
    second: str
    attack: str
    norm: str
    budget: str
    eps: float | None
    stored: bool


@dataclass(frozen=True)
class Contrast(Between):
    """Two runs at one attack and size.

    Attributes:
        difference: the first's share of images still right minus the second's, [-1, 1], with its paired 95 % interval.
        first_only, second_only: images that only one of the two has right.
        p_value: exact McNemar test; None where patients are known, as it takes images as independent.
        p_holm: corrected for all comparisons of this attack and way of storing; None without p value.
    """

    difference: Interval
    first_only: int
    second_only: int
    p_value: float | None
    p_holm: float | None = None


@dataclass(frozen=True)
class MaskContrast(Between):
    """Two audits of class maps at one attack and size, by the Dice of each image (``core.dense.quality``).

    Attributes:
        of_first, of_second: mean over the images that both judged.
        difference: first minus second on the same images, in [-1, 1].
    """

    of_first: Interval
    of_second: Interval
    difference: Interval


@dataclass(frozen=True)
class HeatContrast(Between):
    """Two audits of heat maps at one attack and size, by the average precision over all cells.

    Attributes:
        of_first, of_second: over the images that both judged.
        difference: first minus second with its paired interval, in [-1, 1].
    """

    of_first: Interval
    of_second: Interval
    difference: Interval


@dataclass(frozen=True)
class Pooled:
    """Two ways to train, each from several seeds, at one attack and size; each seed's two models on the same images.

    Attributes:
        attack, norm, budget, eps, stored: where, as in ``Contrast``.
        first, second: share of images still right, mean over the seeds.
        difference: first minus second, with an interval over seeds and images (or patients).
        seeds: how many; ``each``: the difference of each.
        p_value: of no difference, by the same variances; None where they say nothing.
        p_holm: corrected for all sizes of this attack and way of storing.
    """

    attack: str
    norm: str
    budget: str
    eps: float | None
    stored: bool
    first: float
    second: float
    difference: Interval
    seeds: int
    each: tuple[float, ...]
    p_value: float | None
    p_holm: float | None = None
