"""What a study of a given size can and cannot show: losses that no harmful flip leaves possible, smallest effects.

Foote's 20 pairs without a harmful flip, as an example: the true share of harmful flips may still be 13.9 % (exact,
one-sided 95 %) or 16.8 % (exact, upper end of the two-sided 95 % interval); the true loss may be 16.1 points (upper end
of Tango's two-sided 95 % interval, no flip at all) or 11.9 points (the same with one helpful flip). Exact: C. J.
Clopper, E. S. Pearson, Biometrika 26 (1934) 404-413; Tango: see ``power``. A harmful share bounds the loss too, which
is harmful minus helpful.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scipy.stats import beta

from percuss.core.errors import UsageError
from percuss.evaluate.intervals import exact
from percuss.study.planning.power import LARGEST, choice_power, d_prime, paired_power, score_upper


@dataclass(frozen=True)
class Shown:
    """What so many independent pairs or trials of one reader can show. Shares and losses are in [0, 1].

    Attributes:
        pairs: cases read twice, or 2AFC trials.
        harmful, helpful: flips seen or supposed.
        exact_one_sided, exact_two_sided: largest true share of harmful flips left possible, at one-sided 95 % and as
            the upper end of the two-sided 95 % interval.
        score_two_sided: largest true loss left possible, upper end of Tango's two-sided 95 % interval.
        discordance, alpha, power: what the smallest effects below hold for; alpha is one-sided.
        margin: smallest margin that is excluded with this power where nothing is lost; None where not even 100 points.
        loss: smallest true loss that is found; None where not even one as large as the discordance.
        limit: smallest share right in 2AFC that is excluded where readers are at chance; None where none is.
        detected: smallest true share right in 2AFC that is told from chance; None where none is.
    """

    pairs: int
    harmful: int
    helpful: int
    exact_one_sided: float
    exact_two_sided: float
    score_two_sided: float
    discordance: float
    alpha: float
    power: float
    margin: float | None
    loss: float | None
    limit: float | None
    detected: float | None

    @property
    def limit_d_prime(self) -> float | None:
        """The limit as d'."""
        return None if self.limit is None else d_prime(self.limit)


def shown(
    pairs: int, *, discordance: float, harmful: int = 0, helpful: int = 0, alpha: float = 0.025, power: float = 0.8
) -> Shown:
    """Say what so many independent pairs of one reader can show; several readers: ``planning.effective`` many.

    Raises:
        UsageError: counts that are not counts or do not add up; shares out of range.
    """
    _check(pairs, harmful, helpful)
    _check_shares(discordance, alpha, power)
    upper = exact(harmful, pairs).high
    return Shown(
        pairs,
        harmful,
        helpful,
        upper_share(harmful, pairs),
        1.0 if upper is None else upper,
        score_upper(harmful, helpful, pairs),
        discordance,
        alpha,
        power,
        margin=_least(
            lambda m: paired_power(pairs, discordance, 0.0, margin=m, alpha=alpha, test="score"), power, 0, 1
        ),
        loss=_least(
            lambda d: paired_power(pairs, discordance, d, margin=0.0, alpha=alpha, test="score"), power, 0, discordance
        ),
        limit=_least(lambda p: choice_power(pairs, p, 0.5, alpha=alpha), power, 0.5, 1),
        detected=_least(lambda p: choice_power(pairs, 0.5, p, alpha=alpha), power, 0.5, 1),
    )


def upper_share(hits: int, n: int, *, alpha: float = 0.05) -> float:
    """Exact one-sided upper bound of a share (Clopper-Pearson); 1 - alpha ** (1 / n) where there was no hit."""
    _check(n, hits, 0)
    return 1.0 if hits == n else float(beta.ppf(1 - alpha, hits + 1, n - hits))


def _least(reached: Callable[[float], float], power: float, low: float, high: float) -> float | None:
    """Smallest effect between the ends (both left out) whose power suffices; power grows with the effect."""
    gap = 1e-9 * (high - low)
    low, high = low + gap, high - gap
    if reached(high) < power:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) >= power else (middle, high)
    return high


def _check(pairs: int, harmful: int, helpful: int) -> None:
    if not 0 < pairs <= LARGEST or min(harmful, helpful) < 0 or harmful + helpful > pairs:
        raise UsageError(
            "the counts of pairs and flips do not fit",
            value=f"{harmful} harmful and {helpful} helpful of {pairs}",
            allowed="counts of 0 or more that add to the pairs at most, and 1 pair or more",
            next_step="count again",
        )


def _check_shares(discordance: float, alpha: float, power: float) -> None:
    if not (0 < discordance <= 1 and 0 < alpha < 0.5 and alpha < power < 1):
        raise UsageError(
            "discordance, alpha or power is out of range",
            value=f"{discordance}, {alpha}, {power}",
            allowed="discordance above 0 and at most 1, alpha one-sided below 0.5, power between alpha and 1",
            next_step="correct it and plan again",
        )
