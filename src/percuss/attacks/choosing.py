"""Choosing a sign for each of several patterns so that a score of each image gets best: exact, or by a surrogate.

A choice is a row of -1, 0 and 1, one for each pattern; scores are asked for in batches. ``exact`` asks for all
``3 ** patterns``. ``quick`` fits a quadratic form of the signs to the choices asked so far, asks for those that it
holds to be best until no better one comes, and in the end for all choices that differ from the best in one sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice, product

import torch
from torch import Tensor

from percuss.core.errors import AttackError

#: Scores ``[n]``, larger is better, of pairs: rows ``[n]`` (a row may come more than once) and choices, int8
#: ``[n, patterns]``.
Score = Callable[[Tensor, Tensor], Tensor]
Choice = tuple[int, ...]
#: Exact search takes at most so many patterns: 59,049 choices.
MOST_EXACT = 10
#: Up to so many patterns the surrogate is computed for every choice; above, along a beam.
_LISTED = 8
_BEAM = 16
#: Choices asked in a round.
_SHARE = 4
#: Rounds without a better choice after which the search ends, where the surrogate errs by at most ``_SURE`` of the gain
#: so far, and where it errs by more.
_PATIENCE, _LONG_PATIENCE = 3, 12
_SURE = 0.1
#: Draws of the first choices, of which the most even is taken.
_DRAWS = 200


def every_choice(patterns: int) -> Tensor:
    """All choices, int8 ``[3 ** patterns, patterns]``; the first is all 0."""
    return _tensor(list(product((0, -1, 1), repeat=patterns)), patterns)


def exact(score: Score, count: int, patterns: int, *, at_once: int | None = None) -> tuple[Tensor, Tensor]:
    """The best choice of each of ``count`` rows by asking for all: choices int8 ``[count, patterns]``, and scores.

    Args:
        score: of pairs of row and choice.
        count: rows.
        patterns: signs of a choice.
        at_once: pairs asked for at once; ``count`` where None.

    Raises:
        AttackError: more than ``MOST_EXACT`` patterns.
    """
    if patterns > MOST_EXACT:
        raise AttackError(
            "too many classes for the exact search",
            value=f"{patterns} classes, {3**patterns:,} choices for each image",
            allowed=f"{MOST_EXACT} classes",
            next_step="use search=quick",
        )
    best = torch.full((count,), -torch.inf, dtype=torch.float64)
    found = torch.zeros(count, patterns, dtype=torch.int8)
    together = max(1, (at_once or count) // max(1, count))
    listed = iter(product((0, -1, 1), repeat=patterns))
    while part := list(islice(listed, together)):  # the choices in order; a tie is won by the first
        scores = _scores(score, [(row, choice) for choice in part for row in range(count)], at_once or count)
        top, at = torch.tensor(scores, dtype=torch.float64).view(len(part), count).max(0)
        better = top > best
        found[better], best = _tensor(part, patterns)[at[better]], torch.maximum(top, best)
    return found, best


def quick(
    score: Score, count: int, patterns: int, *, asks: int = 100, at_once: int | None = None
) -> tuple[Tensor, Tensor]:
    """A good choice of each row for at most about ``asks`` scores of each; all choices where those are no more.

    Args:
        score, count, patterns, at_once: as for ``exact``, but any number of patterns.
        asks: where the rounds end, before the last look at single signs.
    """
    if 3**patterns <= asks:
        return exact(score, count, patterns, at_once=at_once)
    rows = [_Row(patterns) for _ in range(count)]
    _ask(score, rows, [_design(patterns)[: 2 * asks // 3]] * count, at_once)
    listed = every_choice(patterns) if patterns <= _LISTED else None
    terms = None if listed is None else _terms(listed)
    climbing = list(range(count))
    while climbing:
        while open_rows := [
            row for row in climbing if rows[row].still < rows[row].patience and len(rows[row].known) < asks
        ]:
            _ask(score, rows, _guesses(rows, open_rows, listed, terms), at_once)
        before = [rows[row].best for row in climbing]
        wanted: list[list[Choice]] = [[] for _ in rows]
        for row in climbing:
            wanted[row] = list(_near(rows[row].best))
        _ask(score, rows, wanted, at_once)  # until no single sign is better, which a few rounds reach
        climbing = [row for row, was in zip(climbing, before, strict=True) if rows[row].best != was]
    best = [row.best for row in rows]
    return _tensor(best, patterns), torch.tensor([row.known[row.best] for row in rows], dtype=torch.float64)


class _Row:
    """What is known of one image: scores by choice, the best choice, and how long and how well the search goes.

    ``still`` counts the rounds since the best choice changed; ``fitted`` are the surrogate's factors, ``error`` how
    far it was off lately, as a share of the gain over no change.
    """

    def __init__(self, patterns: int) -> None:
        self.nothing: Choice = (0,) * patterns
        self.known: dict[Choice, float] = {}
        self.best, self.still = self.nothing, 0
        self.fitted: Tensor | None = None
        self.error: float | None = None

    @property
    def patience(self) -> int:
        """Rounds without a better choice to go on for."""
        return _PATIENCE if self.error is None or self.error <= _SURE else _LONG_PATIENCE

    def learn(self, found: Sequence[tuple[Choice, float]]) -> None:
        """Take the scores of one round."""
        self.known.update(found)
        best = max(self.known, key=self.known.__getitem__)
        self.still = 0 if best != self.best else self.still + 1
        self.best = best
        if self.fitted is not None and found:
            foretold = _terms(_tensor([choice for choice, _ in found], len(best))) @ self.fitted
            off = (torch.tensor([value for _, value in found], dtype=torch.float64) - foretold).abs().mean()
            share = float(off) / max(self.known[best] - self.known[self.nothing], 1e-300)
            self.error = share if self.error is None else (self.error + share) / 2


def _scores(score: Score, pairs: Sequence[tuple[int, Choice]], at_once: int) -> list[float]:
    found: list[float] = []
    for start in range(0, len(pairs), max(1, at_once)):
        part = pairs[start : start + max(1, at_once)]
        rows = torch.tensor([row for row, _ in part])
        found += score(rows, _tensor([choice for _, choice in part], len(part[0][1]))).tolist()
    return found


def _ask(score: Score, rows: Sequence[_Row], wanted: Sequence[Sequence[Choice]], at_once: int | None) -> None:
    """One round: the wanted choices of each row that are not known yet, as many at once as allowed."""
    new = [[choice for choice in some if choice not in row.known] for row, some in zip(rows, wanted, strict=True)]
    pairs = [(number, choice) for number, some in enumerate(new) for choice in some]
    scores = iter(_scores(score, pairs, at_once or len(rows)))
    for row, some, asked in zip(rows, new, wanted, strict=True):
        if asked:
            row.learn([(choice, next(scores)) for choice in some])


def _guesses(rows: list[_Row], chosen: list[int], listed: Tensor | None, terms: Tensor | None) -> list[list[Choice]]:
    """For each chosen row the choices not yet known that the surrogate holds to be best; nothing for the others."""
    found: list[list[Choice]] = [[] for _ in rows]
    for number in chosen:
        row = rows[number]
        if listed is None or terms is None:
            found[number] = _along_beam(row)
            continue
        value = terms @ _surrogate(row)
        order = value.topk(min(len(value), _SHARE + len(row.known))).indices
        fresh = (choice for choice in map(_choice, listed[order]) if choice not in row.known)
        found[number] = list(islice(fresh, _SHARE))
    return found


def _along_beam(row: _Row) -> list[Choice]:
    """The same for many patterns: from the best known choices by one and two signs up the surrogate."""
    fitted, patterns = _surrogate(row), len(row.best)
    beam = sorted(row.known, key=row.known.__getitem__, reverse=True)[:_BEAM]
    while True:
        pool = sorted({*beam, *(other for choice in beam for other in (*_near(choice), *_pairs_off(choice)))})
        value = _terms(_tensor(pool, patterns)) @ fitted
        order = value.argsort(descending=True, stable=True).tolist()
        top = [pool[place] for place in order[:_BEAM]]
        if top == beam:
            fresh = (pool[place] for place in order if pool[place] not in row.known)
            return list(islice(fresh, _SHARE))
        beam = top


@cache
def _design(patterns: int) -> tuple[Choice, ...]:
    """Where the quadratic form is learnt first: nothing, and ``2 * patterns + 4`` choices of all signs.

    Of many draws the one in which signs and their products go least together. The draws are the same for every image: a
    fixed part of the method.
    """
    draw = torch.Generator().manual_seed(patterns)
    first, second = torch.triu_indices(patterns, patterns, offset=1)
    least, kept = torch.inf, torch.zeros(0, patterns)
    for _ in range(_DRAWS):
        drawn = torch.randint(0, 2, (2 * patterns + 4, patterns), generator=draw) * 2 - 1
        parts = torch.cat([torch.ones(len(drawn), 1), drawn, drawn[:, first] * drawn[:, second]], dim=1)
        together = float((parts.T @ parts).fill_diagonal_(0).square().sum())
        if together < least:
            least, kept = together, drawn
    return tuple(dict.fromkeys([(0,) * patterns, *map(_choice, kept)]))


def _terms(choices: Tensor) -> Tensor:
    """Constant, signs, their squares and products: float64 ``[choices, terms]``."""
    signs = choices.double()
    first, second = torch.triu_indices(signs.shape[1], signs.shape[1], offset=1)
    return torch.cat([torch.ones(len(signs), 1).double(), signs, signs**2, signs[:, first] * signs[:, second]], dim=1)


def _surrogate(row: _Row) -> Tensor:
    """The quadratic form fitted to what is known, better choices weighing more: its factors, float64 ``[terms]``.

    A ridge on squares and products decides where fewer choices are known than the form has terms.
    """
    values = torch.tensor(list(row.known.values()), dtype=torch.float64)
    spread = (values.max() - values.min()).clamp_min(1e-300)
    weight = (5 * (values - values.max()) / spread).exp().sqrt().unsqueeze(1)
    patterns = len(row.best)
    terms = _terms(_tensor(list(row.known), patterns)) * weight
    ridge = torch.full((terms.shape[1],), 1e-3, dtype=torch.float64)
    ridge[: 1 + patterns] = 1e-5
    aim = ((values - values.mean()) / spread).unsqueeze(1) * weight
    found: Tensor = torch.linalg.solve(terms.T @ terms + ridge.diag(), terms.T @ aim).squeeze(1) * spread
    found[0] += values.mean()
    row.fitted = found
    return found


def _near(choice: Choice) -> Iterator[Choice]:
    """The choices that differ from this one in one sign."""
    for place, own in enumerate(choice):
        for sign in (0, -1, 1):
            if sign != own:
                yield (*choice[:place], sign, *choice[place + 1 :])


def _pairs_off(choice: Choice) -> Iterator[Choice]:
    """The choices that differ from this one in two signs."""
    for place, own in enumerate(choice):
        for sign in (0, -1, 1):
            if sign != own:
                yield from ((*choice[:place], sign, *rest) for rest in _near(choice[place + 1 :]))


def _choice(row: Tensor) -> Choice:
    return tuple(row.tolist())


def _tensor(choices: Sequence[Choice], patterns: int) -> Tensor:
    return torch.tensor(choices, dtype=torch.int8).view(len(choices), patterns)
