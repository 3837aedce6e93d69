"""Power by simulation: answers of readers on cases are drawn, and the planned test is applied to each draw.

Correlated answers: with chance sqrt(case share) an answer is the one that all such readers give on the case, with
chance sqrt(reader share) the one that the reader gives everywhere, else its own. Every answer keeps its shares, two
readers correlate on a case by the case share and two cases of a reader by the reader share (A. D. Lunn, S. J. Davies,
Biometrika 85 (1998) 487-490). The test divides the score variance by the effective number of answers, whose design
effect comes from the two-way mean squares (J. N. K. Rao, A. J. Scott, Biometrics 48 (1992) 577-585); where readers are
random, degrees of freedom are those of S. L. Hillis, Statistics in Medicine 26 (2007) 596-619.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm, t

from percuss.core.errors import UsageError
from percuss.evaluate.intervals import exact
from percuss.study.planning.power import Floats, held_to_margin

_CELLS = 4_000_000
"""Answers held at once."""


@dataclass(frozen=True)
class Model:
    """What the simulated answers are, and the test they go through.

    Attributes:
        values: worth of each answer (paired: 1 harmful, -1 helpful, 0 same; choice: 1 right, 0 wrong).
        shares: probability of each, in the same order.
        null: mean under the hypothesis to be rejected; a margin for pairs, a share right for choices.
        below: it is rejected where the mean is clearly below, else clearly above.
        test: ``score``, ``wald`` (one reader's pairs only) or ``binomial`` (exact with one reader).
        alpha: one-sided.
        case_share, reader_share: correlations of answers on a case and of a reader.
    """

    values: tuple[int, ...]
    shares: tuple[float, ...]
    null: float
    below: bool
    test: str
    alpha: float
    case_share: float = 0.0
    reader_share: float = 0.0


@dataclass(frozen=True)
class Simulated:
    """Share of simulated studies that rejected, its standard error, and how many were drawn."""

    power: float
    error: float
    draws: int

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the two-sided 95 % interval of what more draws would give (exact, Clopper-Pearson)."""
        found = exact(round(self.power * self.draws), self.draws)
        assert found.low is not None and found.high is not None, "there are draws"
        return found.low, found.high


def simulate(model: Model, cases: int, readers: int, *, draws: int = 4000, seed: int = 0) -> Simulated:
    """Run the planned test on ``draws`` simulated studies; the same seed gives the same answer.

    Raises:
        UsageError: fewer than 100 draws, or no case or reader; the two shares cannot both be had.
    """
    if draws < 100 or cases < 2 or readers < 1:
        raise UsageError(
            "this cannot be simulated",
            value=f"{cases} cases, {readers} readers, {draws} draws",
            allowed="2 cases, 1 reader and 100 draws or more",
            next_step="ask for more draws",
        )
    check_shares(model)
    rng = np.random.default_rng(seed)
    if readers == 1:
        hits = int(_single(model, cases, rng.multinomial(cases, model.shares, size=draws)).sum())
    else:
        hits = sum(int(_several(model, part).sum()) for part in in_parts(model, (draws, cases, readers), rng))
    return counted(hits, draws)


def check_shares(model: Model) -> None:
    """UsageError where no mixture of answers has both correlations."""
    if math.sqrt(model.case_share) + math.sqrt(model.reader_share) > 1 + 1e-12:
        raise UsageError(
            "these shares of case and reader cannot be simulated together",
            value=f"{model.case_share} and {model.reader_share}",
            allowed="square roots that add to 1 at most",
            next_step="lower one of them",
        )


def counted(hits: int, draws: int) -> Simulated:
    """So many of the studies drawn, with its error."""
    # Half a study on either side, so that no error is nought.
    smooth = (hits + 0.5) / (draws + 1)
    return Simulated(hits / draws, math.sqrt(smooth * (1 - smooth) / draws), draws)


def answers(model: Model, shape: tuple[int, int, int], rng: np.random.Generator) -> NDArray[np.int8]:
    """Correlated answers ``[draws, cases, readers]``."""
    draws, cases, readers = shape
    ends = np.cumsum(model.shares)[:-1]
    worth = np.asarray(model.values, dtype=np.int8)

    def drawn(*size: int) -> NDArray[np.int8]:
        return np.asarray(worth[np.searchsorted(ends, rng.random(size, dtype=np.float32), side="right")])

    found = drawn(*shape)
    source = rng.random(shape, dtype=np.float32)
    by_case, by_reader = math.sqrt(model.case_share), math.sqrt(model.reader_share)
    found = np.where(source < by_case, drawn(draws, cases, 1), found)
    taken = (source >= by_case) & (source < by_case + by_reader)
    return np.where(taken, drawn(draws, 1, readers), found)


def in_parts(model: Model, shape: tuple[int, int, int], rng: np.random.Generator) -> Iterator[NDArray[np.int8]]:
    """As ``answers``, so many draws at a time as are held at once."""
    draws, cases, readers = shape
    size = max(1, min(draws, _CELLS // (cases * readers)))
    for start in range(0, draws, size):
        yield answers(model, (min(size, draws - start), cases, readers), rng)


def _single(model: Model, cases: int, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    if model.test == "binomial":
        right = counts[:, 0]
        if model.below:
            return np.asarray(right < binom.ppf(model.alpha, cases, model.null))
        return np.asarray(right > binom.isf(model.alpha, cases, model.null))
    first, second = counts[:, 0] / cases, counts[:, 1] / cases
    if model.test == "wald":
        spread = first + second - (first - second) ** 2
    else:
        spread = held_to_margin(first, second, model.null)
    return _rejected(model, first - second, spread / cases, np.full(len(counts), norm.isf(model.alpha)))


def _several(model: Model, found: NDArray[np.int8]) -> NDArray[np.bool_]:
    _, cases, readers = found.shape
    seen = found.mean(axis=(1, 2), dtype=np.float64)
    if model.test == "binomial":
        spread = np.full(len(seen), model.null * (1 - model.null))
    else:
        spread = held_to_margin((found == 1).mean(axis=(1, 2)), (found == -1).mean(axis=(1, 2)), model.null)
    effect, freedom = _design(found.astype(np.float64), model.reader_share > 0)
    limits = np.where(np.isinf(freedom), norm.isf(model.alpha), t.isf(model.alpha, np.minimum(freedom, 1e6)))
    return _rejected(model, seen, spread * effect / (cases * readers), limits)


def _design(found: Floats, random_readers: bool) -> tuple[Floats, Floats]:
    """Design effect and degrees of freedom of each draw from the two-way mean squares."""
    _, cases, readers = found.shape
    middle = found.mean(axis=(1, 2), keepdims=True)
    total = ((found - middle) ** 2).sum(axis=(1, 2))
    case = readers * ((found.mean(axis=2) - middle[:, :, 0]) ** 2).sum(axis=1)
    reader = cases * ((found.mean(axis=1) - middle[:, :, 0]) ** 2).sum(axis=1)
    case_square, reader_square = case / (cases - 1), reader / (readers - 1)
    rest = np.maximum(total - case - reader, 0) / ((cases - 1) * (readers - 1))
    square, freedom = case_square, np.full(len(total), np.inf)
    if random_readers:
        square = np.maximum(case_square, case_square + reader_square - rest)
        beside = reader_square + np.maximum(case_square - rest, 0)
        some = reader_square > 0
        freedom[some] = beside[some] ** 2 / (reader_square[some] ** 2 / (readers - 1))
    known = total > 0
    effect = np.ones(len(total))
    effect[known] = square[known] / (total[known] / (cases * readers - 1))
    return effect, freedom


def _rejected(model: Model, seen: Floats, spread: Floats, limits: Floats) -> NDArray[np.bool_]:
    gap = model.null - seen if model.below else seen - model.null
    return np.asarray((gap > 0) & (gap >= limits * np.sqrt(spread)))
