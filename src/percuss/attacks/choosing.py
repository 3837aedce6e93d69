"""Choosing a sign for each of several patterns so that a score of each image gets best: exact, or by a surrogate.

A choice is a row of -1, 0 and 1, one for each pattern; scores are asked for in batches. ``exact`` asks for all
``3 ** patterns``. ``quick`` fits a quadratic form of the signs to the choices asked so far, asks for those that it
holds to be best, and goes on so; in the end it asks for all choices that differ from the best one in a sign.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import torch
from torch import Tensor

#: Scores ``[n]``, larger is better, of one choice for each row: rows ``[n]`` and choices, int8 ``[n, patterns]``.
Score = Callable[[Tensor, Tensor], Tensor]


def every_choice(patterns: int) -> Tensor:
    """All choices, int8 ``[3 ** patterns, patterns]``; the first is all 0."""
    listed = torch.tensor(list(product((0, -1, 1), repeat=patterns)), dtype=torch.int8)
    return listed.view(-1, patterns)


def exact(score: Score, count: int, patterns: int) -> tuple[Tensor, Tensor]:
    """The best choice of each of ``count`` rows by asking for all: choices int8 ``[count, patterns]``, and scores."""
    choices = every_choice(patterns)
    rows = torch.arange(count)
    best, at = torch.full((count,), -torch.inf, dtype=torch.float64), torch.zeros(count, dtype=torch.long)
    for index in range(len(choices)):
        found = score(rows, choices[index].expand(count, -1))
        at, best = torch.where(found > best, index, at), torch.maximum(found, best)
    return choices[at], best


def quick(score: Score, count: int, patterns: int, *, asks: int = 100) -> tuple[Tensor, Tensor]:
    """A good choice of each row for about ``asks`` scores of each; all choices where those are no more."""
    choices = every_choice(patterns)
    if len(choices) <= asks:
        return exact(score, count, patterns)
    terms = _terms(choices)
    known = torch.full((count, len(choices)), torch.nan, dtype=torch.float64)
    _ask(score, known, choices, _design(choices).expand(count, -1))
    share = max(8, asks // 10)
    while int((~known.isnan()).sum(1).min()) + share <= asks - 2 * patterns:
        guess = torch.stack([_surrogate(terms, row) for row in known])
        _ask(score, known, choices, guess.masked_fill(~known.isnan(), -torch.inf).topk(share, dim=1).indices)
    near = _neighbours(choices)
    before = torch.full((count,), -1)
    while True:  # until no other single sign is better, which a few rounds reach
        at = known.nan_to_num(nan=-torch.inf).argmax(1)
        moved = at != before
        if not bool(moved.any()):
            return choices[at], known[torch.arange(count), at]
        _ask(score, known, choices, near[at])
        before = at


def _ask(score: Score, known: Tensor, choices: Tensor, wanted: Tensor) -> None:
    """Ask for the wanted choices of each row that are not known yet, a choice for each row at once."""
    for column in wanted.T:
        rows = known[torch.arange(len(known)), column].isnan().nonzero().flatten()
        if len(rows):
            known[rows, column[rows]] = score(rows, choices[column[rows]])


def _design(choices: Tensor) -> Tensor:
    """Where the quadratic form is learnt first: nothing, each sign alone, and pairs spread over all signs."""
    patterns = choices.shape[1]
    wanted = [torch.zeros(patterns, dtype=torch.int8)]
    for place in range(patterns):
        for sign in (-1, 1):
            one = torch.zeros(patterns, dtype=torch.int8)
            one[place] = sign
            wanted.append(one)
    for number, (first, second) in enumerate(combinations(range(patterns), 2)):
        pair = torch.zeros(patterns, dtype=torch.int8)
        pair[first], pair[second] = (1, -1)[number % 2], (1, -1)[number // 2 % 2]
        wanted.append(pair)
    full = torch.Generator().manual_seed(patterns)  # the same for every image: a fixed part of the method
    wanted += list((torch.randint(0, 2, (12, patterns), generator=full) * 2 - 1).to(torch.int8))
    found = {tuple(row.tolist()): index for index, row in enumerate(choices)}
    return torch.tensor(sorted({found[tuple(row.tolist())] for row in wanted}))


def _terms(choices: Tensor) -> Tensor:
    """Constant, signs, their squares and products: float64 ``[choices, terms]``."""
    signs = choices.double()
    pairs = [signs[:, a] * signs[:, b] for a, b in combinations(range(signs.shape[1]), 2)]
    return torch.cat([torch.ones(len(signs), 1, dtype=torch.float64), signs, signs**2, torch.stack(pairs, 1)], dim=1)


def _surrogate(terms: Tensor, known: Tensor) -> Tensor:
    """The quadratic form fitted to what is known, better choices weighing more, at all choices."""
    asked = ~known.isnan()
    values = known[asked]
    spread = (values.max() - values.min()).clamp_min(1e-12)
    weight = (3 * (values - values.max()) / spread).exp().sqrt().unsqueeze(1)
    rows = terms[asked] * weight
    ridge = 1e-6 * torch.eye(terms.shape[1], dtype=torch.float64)
    fitted = torch.linalg.solve(rows.T @ rows + ridge, rows.T @ (values.unsqueeze(1) * weight))
    everywhere: Tensor = (terms @ fitted).squeeze(1)
    return everywhere


def _neighbours(choices: Tensor) -> Tensor:
    """The choices that differ from each in one sign, ``[choices, 2 * patterns]``."""
    patterns = choices.shape[1]
    power = 3 ** torch.arange(patterns - 1, -1, -1)
    digit = torch.where(choices == -1, 1, torch.where(choices == 1, 2, 0)).long()  # the order of every_choice
    own = (digit * power).sum(1)
    found = [own + ((digit[:, p] + more) % 3 - digit[:, p]) * power[p] for p in range(patterns) for more in (1, 2)]
    return torch.stack(found, dim=1)
