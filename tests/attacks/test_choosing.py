"""Choosing signs: the exact search is exact, the quick one finds the same for far fewer asks, and counts them."""

import pytest
import torch

from percuss.attacks.choosing import every_choice, exact, quick
from percuss.core.errors import AttackError


class Landscape:
    """Scores of all choices of some images, with a meter; linear and pairwise parts, and ``rough`` ones."""

    def __init__(self, count, patterns, rough, seed=0):
        draw = torch.Generator().manual_seed(seed)
        signs = every_choice(patterns).double()
        linear = torch.randn(count, patterns, generator=draw, dtype=torch.float64)
        pairs = torch.randn(count, patterns, patterns, generator=draw, dtype=torch.float64) * 0.5
        self.values = signs @ linear.T + torch.einsum("kp,npq,kq->kn", signs, pairs, signs)
        self.values += rough * torch.randn(self.values.shape, generator=draw, dtype=torch.float64)
        self.index = {tuple(row.tolist()): i for i, row in enumerate(every_choice(patterns))}
        self.asked = torch.zeros(count, dtype=torch.long)

    def score(self, rows, choices):
        self.asked += torch.bincount(rows, minlength=len(self.asked))
        return self.values[[self.index[tuple(row.tolist())] for row in choices], rows]


def test_all_choices_are_listed_once_and_the_first_is_nothing():
    listed = every_choice(4)
    assert len({tuple(row.tolist()) for row in listed}) == len(listed) == 81
    assert listed[0].tolist() == [0, 0, 0, 0]


def test_exact_asks_for_all_and_finds_the_best():
    land = Landscape(5, 4, rough=1.0)
    choices, best = exact(land.score, 5, 4)
    assert land.asked.tolist() == [81] * 5
    assert torch.equal(best, land.values.max(0).values)
    assert torch.equal(land.score(torch.arange(5), choices), best)


def test_quick_is_exact_on_quadratic_landscapes():
    land = Landscape(20, 6, rough=0.0)
    choices, best = quick(land.score, 20, 6)
    assert torch.allclose(best, land.values.max(0).values)
    assert torch.equal(land.score(torch.arange(20), choices), best)
    assert land.asked.max() <= 75


def test_quick_loses_little_on_rough_ones():
    land = Landscape(40, 6, rough=0.3)
    _, best = quick(land.score, 40, 6)
    start = land.values[0]
    regret = (land.values.max(0).values - best) / (land.values.max(0).values - start)
    assert (regret <= 1e-12).double().mean() >= 0.5 and regret.mean() < 0.05
    assert land.asked.double().mean() <= 75


def test_no_single_sign_is_better_in_the_end():
    land = Landscape(10, 6, rough=2.0)
    choices, best = quick(land.score, 10, 6)
    for place in range(6):
        for sign in (-1, 0, 1):
            other = choices.clone()
            other[:, place] = sign
            assert (land.score(torch.arange(10), other) <= best).all()


@pytest.mark.parametrize("patterns", [1, 2, 3, 4])
def test_few_patterns_are_searched_whole(patterns):
    land = Landscape(3, patterns, rough=1.0)
    _, best = quick(land.score, 3, patterns)
    assert torch.equal(best, land.values.max(0).values)


def test_an_image_fares_the_same_alone():
    whole, alone = Landscape(6, 6, rough=0.5), Landscape(6, 6, rough=0.5)
    together, _ = quick(whole.score, 6, 6)
    for i in range(6):
        own, _ = quick(lambda rows, choices, i=i: alone.score(rows + i, choices), 1, 6)
        assert torch.equal(own[0], together[i])


def test_many_patterns_are_searched_without_listing_all_choices(monkeypatch):
    draw = torch.Generator().manual_seed(0)
    linear = torch.randn(3, 12, generator=draw, dtype=torch.float64)
    pairs = torch.randn(3, 12, 12, generator=draw, dtype=torch.float64).triu(1) * 0.1
    asked = []

    def score(rows, choices):
        asked.extend(rows.tolist())
        signs = choices.double()
        return (signs * linear[rows]).sum(1) + torch.einsum("np,npq,nq->n", signs, pairs[rows], signs)

    monkeypatch.setattr("percuss.attacks.choosing.every_choice", lambda patterns: 1 / 0)
    choices, best = quick(score, 3, 12, asks=200)
    assert len(asked) <= 3 * 230
    corners = (torch.arange(2**12)[:, None] >> torch.arange(12) & 1) * 2 - 1  # the form is multilinear: one is best
    for row in range(3):
        every = score(torch.full((2**12,), row), corners)
        assert best[row] == pytest.approx(every.max().item())
        assert score(torch.tensor([row]), choices[row : row + 1])[0] == best[row]


def test_exact_refuses_too_many_patterns_in_words():
    with pytest.raises(AttackError, match="12 classes, 531,441 choices.*Allowed: 10 classes.*search=quick"):
        exact(lambda rows, choices: 1 / 0, 2, 12)


@pytest.mark.parametrize("at_once", [1, 5, 64])
def test_how_many_are_asked_at_once_changes_nothing(at_once):
    land = Landscape(4, 5, rough=1.0)

    def score(rows, choices):
        assert len(rows) <= at_once
        return land.score(rows, choices)

    for search in (exact, quick):
        choices, best = search(score, 4, 5, at_once=at_once)
        free, known = search(land.score, 4, 5)
        assert torch.equal(choices, free) and torch.equal(best, known)
