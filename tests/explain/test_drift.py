"""Drift of maps: exact values on maps made by hand, and noise of the same size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from percuss.core.budget import Norm
from percuss.core.errors import DataError
from percuss.core.norms import distance
from percuss.core.seeds import ImageRandom
from percuss.explain.drift import drift, same_size_noise

MAPS = torch.rand(4, 12, 9, generator=torch.Generator().manual_seed(0))


def test_identical_maps_have_not_moved():
    found = drift(MAPS, MAPS.clone())
    assert found.rank.tolist() == [1] * 4 and found.overlap.tolist() == [1] * 4 and found.shift.tolist() == [0] * 4


def test_values_by_hand():
    one, two = torch.zeros(1, 10, 10), torch.zeros(1, 10, 10)
    one[0, 2, 2], two[0, 5, 6] = 1, 1
    found = drift(one, two, top=0.01)
    assert found.shift[0] == pytest.approx(5) and found.overlap[0] == 0
    ramp = torch.arange(100.0).view(1, 10, 10)
    back = drift(ramp, 99 - ramp, top=0.1)
    assert back.rank[0] == pytest.approx(-1) and back.overlap[0] == 0
    moved = drift(ramp, ramp.roll(5).clamp_min(5), top=0.1)  # five of the ten largest are the same
    assert moved.overlap[0] == pytest.approx(0.5)
    assert drift(ramp, ramp**3).rank[0] == 1  # only the order counts


def test_maps_without_order_or_mass_are_counted_as_unknown():
    found = drift(torch.zeros(1, 4, 4), MAPS[:1, :4, :4])
    assert np.isnan([found.rank[0], found.overlap[0], found.shift[0]]).all()


@pytest.mark.parametrize("bad", [-MAPS, MAPS[:2], MAPS * float("nan")])
def test_wrong_maps_are_refused(bad):
    with pytest.raises(DataError):
        drift(MAPS, bad)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 0.4))
def test_noise_has_the_size_of_the_attack_in_every_norm(seed, size):
    rng = torch.Generator().manual_seed(seed)
    clean = torch.rand(2, 3, 6, 5, generator=rng)
    attacked = (clean + size * (torch.rand(clean.shape, generator=rng) - 0.5)).clamp(0, 1)
    attacked[:, :, 3:] = clean[:, :, 3:]
    noisy = same_size_noise(clean, attacked, ImageRandom(seed, ["a", "b"], "null"))
    assert float(noisy.min()) >= 0 and float(noisy.max()) <= 1
    for norm in (Norm.LINF, Norm.L2, Norm.L1, Norm.L0):
        assert torch.allclose(distance(norm, noisy - clean), distance(norm, attacked - clean), rtol=1e-4, atol=1e-5)
    alone = same_size_noise(clean[1:], attacked[1:], ImageRandom(seed, ["b"], "null"))
    assert torch.equal(alone[0], noisy[1])
