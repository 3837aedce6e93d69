"""Exact test that two conditions are alike, where several answers of a unit (a case, a patient) belong together.

If they are alike, either condition could have had either answer of a unit as a whole: every unit's net change could
have had the other sign. The p value counts all such exchanges (E. J. G. Pitman, Supplement to the Journal of the Royal
Statistical Society 4 (1937) 119-130). With one answer per unit it is McNemar's exact test.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def exchange_p(changes: Iterable[int], *, mid_p: bool = False) -> float:
    """Two-sided p value that no condition is ahead; 1 where nothing changes.

    Args:
        changes: net change of each unit, such as answers lost less answers gained; whole numbers.
        mid_p: count half of the outcomes as far out as the observed one, as McNemar's mid-p does.
    """
    net = [int(change) for change in changes]
    sizes = [abs(change) for change in net if change]
    if not sizes:
        return 1.0
    seen, most = abs(sum(net)), sum(sizes)
    # Chance of each sum from -most to most; every unit moves it up or down.
    chance = np.zeros(2 * most + 1)
    chance[most] = 1.0
    for size in sizes:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    sums = np.abs(np.arange(-most, most + 1))
    beyond, level = float(chance[sums > seen].sum()), float(chance[sums == seen].sum())
    # At a sum of 0 there is nothing further in.
    return min(1.0, beyond + (level / 2 if mid_p and seen else level))
