"""Shuffled pixels: the same values elsewhere, inside the region alone where there is one."""

import torch

from percuss.core.seeds import ImageRandom
from percuss.core.shuffle import shuffle_pixels

CHANGE = torch.arange(2 * 3 * 4 * 5).float().view(2, 3, 4, 5) + 1


def rng(*ids):
    return ImageRandom(0, list(ids), "x")


def test_pixels_move_together_and_none_is_lost():
    moved = shuffle_pixels(CHANGE, rng("a", "b"))
    for before, after in zip(CHANGE.flatten(2), moved.flatten(2), strict=True):
        assert not before.equal(after)
        assert sorted(map(tuple, before.T.tolist())) == sorted(map(tuple, after.T.tolist()))
    assert shuffle_pixels(CHANGE[1:], rng("b"))[0].equal(moved[1])


def test_inside_a_region_pixels_change_places_among_themselves():
    region = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    moved = shuffle_pixels(CHANGE, rng("a", "b"), region)
    for before, after, inside in zip(CHANGE, moved, region, strict=True):
        assert not bool(after[:, ~inside].any())
        assert sorted(map(tuple, before[:, inside].T.tolist())) == sorted(map(tuple, after[:, inside].T.tolist()))
        assert not before[:, inside].equal(after[:, inside])
    everywhere = torch.ones(2, 4, 5, dtype=torch.bool)
    assert shuffle_pixels(CHANGE, rng("a", "b"), everywhere).equal(shuffle_pixels(CHANGE, rng("a", "b")))
