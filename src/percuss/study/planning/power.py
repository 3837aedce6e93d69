"""Sizes and power by formula: paired proportions (loss and difference) and two-alternative forced choice (2AFC).

A pair is one case seen twice, as original and as perturbed. Harmful: right on the original only; helpful: right on the
perturbed copy only. Discordance is the sum of both shares, loss is harmful minus helpful. alpha is always one-sided.

Sources: R. J. Connor, Biometrics 43 (1987) 207-211 (difference, by McNemar's statistic); J. Nam, Biometrics 53 (1997)
1422-1430 and T. Tango, Statistics in Medicine 17 (1998) 891-908 (score statistic at a margin); J.-P. Liu et al.,
Statistics in Medicine 21 (2002) 231-245 (sizes by the score and the sample-based Wald statistic); N. A. Macmillan,
C. D. Creelman, Detection Theory, 2nd ed. (2005), ch. 7 (2AFC: share right = Phi(d' / sqrt 2)).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from percuss.core.errors import UsageError
from percuss.study.statistics.paired_share import PairedTable, tango

Floats = NDArray[np.float64]
LARGEST = 10_000_000
_SPAN = 40
"""Trials tried past twice the formula's: exact power goes up and down, most of all in small studies."""


def held_to_margin(harmful: Any, helpful: Any, margin: Any) -> Floats:
    """Variance of one pair's difference under a loss equal to the margin, from shares seen (restricted likelihood).

    Args:
        harmful, helpful: shares of pairs in [0, 1], scalars or arrays.
        margin: the loss held to, in [0, 1).
    """
    harmful, helpful = np.asarray(harmful, dtype=np.float64), np.asarray(helpful, dtype=np.float64)
    middle = (harmful + helpful) * (1 - margin) - 2 * margin * (1 - harmful)
    rest = helpful * margin * (1 - margin)
    # The positive root of 2 q^2 - middle q - rest = 0, where the derivative of the likelihood is nought.
    share = (middle + np.sqrt(middle**2 + 8 * rest)) / 4
    return np.asarray(2 * np.maximum(share, 0.0) + margin * (1 - margin), dtype=np.float64)


def variances(discordance: float, loss: float, margin: float, *, test: str = "score") -> tuple[float, float]:
    """Variance of one pair's difference at the margin, as the test takes it, and under the true loss."""
    true = discordance - loss**2
    if test == "wald":
        return true, true
    return float(held_to_margin((discordance + loss) / 2, (discordance - loss) / 2, margin)), true


def paired_size(discordance: float, loss: float, margin: float, *, alpha: float, power: float, test: str) -> int:
    """Independent pairs with which a loss at the margin is rejected; margin 0 and a loss give Connor's formula."""
    at_margin, true = variances(discordance, loss, margin, test=test)
    top = float(norm.isf(alpha)) * math.sqrt(at_margin) + float(norm.ppf(power)) * math.sqrt(true)
    return max(1, math.ceil((top / (margin - loss)) ** 2 - 1e-9))


def paired_power(pairs: float, discordance: float, loss: float, *, margin: float, alpha: float, test: str) -> float:
    """Power of the same test with so many independent pairs; alpha and below where the loss is the margin."""
    at_margin, true = variances(discordance, loss, margin, test=test)
    reach = math.sqrt(pairs) * abs(margin - loss) - norm.isf(alpha) * math.sqrt(at_margin)
    return float(norm.cdf(reach / math.sqrt(true))) if true > 0 else float(reach > 0)


def percent_correct(d_prime: float) -> float:
    """Share right of an unbiased observer in 2AFC, in [0.5, 1)."""
    return float(norm.cdf(d_prime / math.sqrt(2)))


def d_prime(share: float) -> float:
    """d' of a share right in 2AFC; UsageError where the share is not inside (0, 1)."""
    if not 0 < share < 1:
        raise UsageError(
            "d' is not defined for this share right",
            value=share,
            allowed="above 0 and below 1",
            next_step="give the interval's end instead, which a share of 0 or 1 has too",
        )
    return float(math.sqrt(2) * norm.ppf(share))


def choice_power(trials: int, null: float, truth: float, *, alpha: float) -> float:
    """Exact power of the one-sided binomial test of a share right: null against a truth above or below it."""
    if truth < null:
        # By symmetry: wrong answers in place of right ones.
        null, truth = 1 - null, 1 - truth
    critical = binom.isf(alpha, trials, null)  # the least with P(X > critical) <= alpha
    return float(binom.sf(critical, trials, truth))


def choice_size(null: float, truth: float, *, alpha: float, power: float) -> int:
    """Independent trials from which on the exact binomial test has the power.

    Exact power goes up and down with the number of trials; the size given is the first from which all sizes up to a
    good way past it hold too.
    """
    guess = choice_formula(null, truth, alpha=alpha, power=power)
    if guess > LARGEST:
        return guess
    last = 2 * guess + _SPAN
    # Past 20 000 trials the steps are far below a thousandth of power: the formula stands.
    if last > 20_000:
        return guess
    short = [n for n in range(1, last) if choice_power(n, null, truth, alpha=alpha) < power]
    return (short[-1] if short else 0) + 1


def choice_formula(null: float, truth: float, *, alpha: float, power: float) -> int:
    """Trials by the normal approximation, each hypothesis with its own binomial variance."""
    top = float(norm.isf(alpha)) * math.sqrt(null * (1 - null)) + float(norm.ppf(power)) * math.sqrt(
        truth * (1 - truth)
    )
    return max(1, math.ceil((top / (truth - null)) ** 2 - 1e-9))


def score_upper(harmful: int, helpful: int, pairs: int, *, alpha: float = 0.025) -> float:
    """Upper end of Tango's score interval of the loss, one-sided at alpha; 1 where every pair was harmful."""
    # What happened to the pairs that did not change makes no difference to it.
    table = PairedTable(pairs - harmful - helpful, harmful, helpful, 0)
    high = tango(table, confidence=1 - 2 * alpha).high
    assert high is not None, "a study has pairs"
    return high
