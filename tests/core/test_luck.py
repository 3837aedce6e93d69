"""Luck: the exact chance of so many flips where each image flips with 2 %."""

import math

import pytest

from percuss.core.luck import LUCK, beats_luck


def chance(found, of):
    return sum(math.comb(of, k) * LUCK**k * (1 - LUCK) ** (of - k) for k in range(found, of + 1))


@pytest.mark.parametrize(("found", "of"), [(1, 3), (2, 5), (2, 40), (4, 60), (6, 90)])
def test_the_chance_is_binomial(found, of):
    flagged, told = beats_luck(found, of)
    assert told == pytest.approx(chance(found, of))
    assert flagged == (found > 1 and chance(found, of) < 0.05)


def test_nothing_and_one_are_luck():
    assert beats_luck(0, 0) == (False, 1.0) and beats_luck(0, 10) == (False, 1.0)
    assert not beats_luck(1, 1)[0] and beats_luck(2, 2)[0]
