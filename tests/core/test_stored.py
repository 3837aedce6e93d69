"""Stored images are levels, within the budget, and as near to the float image as that allows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from percuss.core.budget import Norm, parse_budget
from percuss.core.images import PixelRange
from percuss.core.norms import Room, distance, random_start
from percuss.core.seeds import ImageRandom
from percuss.core.stored import as_stored

EIGHT = PixelRange()


def levels(rows, pixels=EIGHT):
    return torch.tensor(rows, dtype=torch.float32).view(1, 1, 1, -1) / pixels.levels


def stored(clean, attacked, text, pixels=EIGHT):
    found = as_stored(levels(clean, pixels), levels(attacked, pixels), parse_budget(text), pixels)
    return (found * pixels.levels).round(decimals=3).flatten().tolist()


def test_nearest_level_ties_toward_clean():
    assert stored([10, 10, 10, 10], [10.4, 10.6, 10.5, 9.5], "linf=1/255") == [10, 11, 10, 10]


def test_half_a_level_is_stored_as_clean():
    assert stored([10, 200], [10.5, 199.5], "linf=0.5/255") == [10, 200]


def test_linf_never_rounds_beyond_the_budget():
    assert stored([10, 10], [11.6, 8.4], "linf=1.6/255") == [11, 9]
    assert stored([10, 10], [12, 8], "linf=2/255") == [12, 8]


def test_l1_takes_back_the_most_rounded_up_first():
    assert stored([10, 10, 10], [10.6, 10.9, 10.0], f"l1={1.5 / 255}") == [10, 11, 10]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["linf=3/255", "linf=0.3/255", "l2=0.05", "l1=0.3", "l0=20%", "none"]), st.integers(0, 999))
def test_stored_is_within_budget_and_a_fixed_point(text, seed):
    budget, rng = parse_budget(text), torch.Generator().manual_seed(seed)
    clean = torch.randint(0, 256, (2, 3, 4, 4), generator=rng).float() / 255
    change = random_start(budget.norm, min(budget.value, 9), Room.of(clean), ImageRandom(seed, ["a", "b"], "t"))
    attacked = (clean + change).clamp(0, 1)
    found = as_stored(clean, attacked, budget, EIGHT)
    native = found.double() * 255
    assert float((native - native.round()).abs().max()) < 1e-4
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    if budget.norm is not Norm.NONE:
        assert bool((distance(budget.norm, found.double() - clean.double()) <= budget.value * (1 + 1e-5) + 1e-6).all())
    assert torch.equal(as_stored(clean, found, budget, EIGHT), found)


def test_sixteen_bit_and_hounsfield_units():
    assert stored([1000], [1000.6], "linf=2/65535", PixelRange(0, 65535)) == [1001]
    ct = PixelRange(-1350, 150, 1, "HU")
    assert stored([700], [710.4], "linf=10HU", ct) == pytest.approx([710])


def test_unchanged_values_stay_as_they_were():
    clean = torch.rand(1, 3, 4, 4)  # not on a level, as after resizing
    assert torch.equal(as_stored(clean, clean.clone(), parse_budget("l2=1"), EIGHT), clean)
