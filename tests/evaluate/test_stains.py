"""Stains unmixed against pictures mixed by the published vectors, and Otsu's threshold against the textbook sum."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.evaluate.stains import VECTORS, haematoxylin, nuclei, otsu, stains


def mixed(amounts):
    """Colours of amounts ``[3, H, W]`` of the three stains."""
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    return 10 ** -np.tensordot(unit.T, amounts, axes=1)


def test_amounts_come_back():
    amounts = np.random.default_rng(0).uniform(0, 0.5, size=(3, 6, 5))
    np.testing.assert_allclose(stains(mixed(amounts)), amounts, atol=1e-12)
    assert np.abs(haematoxylin(np.ones((3, 4, 4)))).max() < 1e-12  # white holds none
    assert np.isfinite(haematoxylin(np.zeros((3, 4, 4)))).all()


def test_published_vectors_are_of_unit_length_as_published():
    np.testing.assert_allclose(np.linalg.norm(VECTORS, axis=1), 1, atol=0.01)


def test_nuclei_are_where_haematoxylin_is():
    amounts = np.zeros((3, 20, 20))
    amounts[1] = 0.3
    amounts[0, 5:9, 5:9] = 0.9
    found = nuclei(mixed(amounts))
    assert found.sum() == 16 and found[5:9, 5:9].all()
    assert not nuclei(np.ones((3, 4, 4))).any()


def test_otsu_is_the_split_of_largest_variance():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0, 1, 600), rng.normal(7, 1, 300)])
    bar = otsu(values)

    def spread(t):
        low, high = values[values <= t], values[values > t]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    best = max(spread(t) for t in np.linspace(values.min(), values.max(), 2000)[1:-1])
    assert spread(bar) == pytest.approx(best, rel=0.005) and otsu(np.ones(5)) is None


def test_grey_images_have_no_stain():
    with pytest.raises(DataError, match="colour images only"):
        stains(np.ones((1, 4, 4)))
