"""How many independent answers some are worth that depend on each other, and a share's interval from as many.

Design effect: L. Kish, Survey Sampling (1965), section 11.7; what its estimate costs: E. L. Korn, B. I. Graubard,
Survey Methodology 24 (1998) 193-201. Wilson: E. B. Wilson, JASA 22 (1927) 209-212.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student


def wilson_bounds(share: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's limits of a share in so many answers, which need not be whole."""
    z = float(norm.ppf(0.5 + confidence / 2))
    middle, scale = share + z**2 / (2 * n), 1 + z**2 / n
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding must not push a limit past the share itself.
    return min(share, max(0.0, (middle - half) / scale)), max(share, min(1.0, (middle + half) / scale))


def effective(units: Sequence[Sequence[float]]) -> float:
    """As many independent answers as these, given by unit, are worth.

    All of them divided by their design effect (the variance of their mean over units by that of independent answers),
    less what it costs to estimate that from so few units (E. L. Korn, B. I. Graubard, Survey Methodology 24 (1998)).
    Never more than all answers, and never fewer than units which agree within themselves are worth (L. Kish, Survey
    Sampling (1965), section 11.7); as many as those where the answers leave no variance to tell it from.
    """
    sizes = np.array([len(unit) for unit in units], dtype=np.float64)
    total = float(sizes.sum())
    least = total**2 / float((sizes**2).sum()) if total else 0.0
    if least >= total - 1e-9 or len(units) < 2:
        return least
    values = np.concatenate([np.asarray(unit, dtype=np.float64) for unit in units])
    alone = float(values.var()) / (total - 1)
    if alone <= 1e-12:
        return least
    left = np.array([float(np.sum(unit)) - len(unit) * float(values.mean()) for unit in units])
    together = float((left**2).sum()) / total**2 * len(units) / (len(units) - 1)
    freedom = (float(student.ppf(0.975, total - 1)) / float(student.ppf(0.975, len(units) - 1))) ** 2
    return float(np.clip(total / max(together / alone, 1.0) * freedom, least, total))
