"""Medians of smallest flips against contrast, and a set against a control, on values made for it."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.evaluate.fragility import Flipped, difference, measured, weighted_median


def images(scale, contrast, *, n=200, seed=0, right=None, never=0):
    """Sizes log-normal around ``scale``; every image has the same contrast."""
    sizes = scale * np.exp(np.random.default_rng(seed).normal(0, 0.3, n))
    sizes[:never] = np.inf
    right = np.ones(n, dtype=bool) if right is None else right
    return Flipped({"linf": sizes, "l2": sizes / 2}, right, np.full(n, contrast**2), ("",) * n, (1, 8, 8))


def test_median_absolute_and_against_contrast():
    given = images(0.01, 0.25)
    found = measured(given, seed=0).found
    linf, l2 = found.sizes
    assert found.contrast == pytest.approx(0.25) and (found.n, found.n_right) == (200, 200)
    middle = np.sort(given.sizes["linf"])[99]
    assert linf.absolute.value == pytest.approx(middle) and linf.relative.value == pytest.approx(middle / 0.25)
    assert l2.absolute.value == pytest.approx(middle / 2)
    assert linf.absolute.low < 0.0101 and linf.absolute.high > 0.0099 and linf.absolute.low < linf.absolute.value


def test_images_that_were_wrong_do_not_count_and_censored_ones_lie_above_all():
    right = np.arange(200) % 2 == 0
    given = images(0.01, 0.25, right=right, never=60)
    found = measured(given, seed=0).found
    assert found.n_right == 100 and found.accuracy.value == 0.5
    assert found.sizes[0].n_censored == 30
    assert found.sizes[0].absolute.value == np.sort(given.sizes["linf"][right])[49]
    lost = measured(images(0.01, 0.25, never=120), seed=0).found.sizes[0]
    assert lost.absolute.value is None and "never flipped" in lost.absolute.method and lost.n_censored == 120


def test_weighted_median_is_that_of_the_repeated_values():
    rng = np.random.default_rng(3)
    values, weights = rng.normal(size=31), rng.integers(0, 4, (40, 31)).astype(float)
    wanted = [np.sort(np.repeat(values, row.astype(int)))[(int(row.sum()) + 1) // 2 - 1] for row in weights]
    assert weighted_median(values, weights) == pytest.approx(wanted)
    assert np.isnan(weighted_median(values, np.zeros((1, 31)))[0])


def test_the_scale_can_turn_the_answer():
    """Half the size on a quarter of the contrast: more fragile in grey levels, less against what there is to see."""
    faint, control = measured(images(0.005, 0.05), seed=0), measured(images(0.01, 0.2, seed=1), seed=1)
    found = difference(("ct", "mnist"), faint, control, norm="linf")
    assert found.absolute.high < 0 < found.relative.low
    assert found.answer == "absolute: ct is more fragile; against contrast: ct is less fragile"
    assert found.absolute.value == pytest.approx(-0.005, abs=0.001)
    assert found.relative.value == pytest.approx(0.05, abs=0.01)


def test_equal_sets_show_no_difference_and_a_set_beyond_reach_is_not_measured():
    one, two = measured(images(0.01, 0.2), seed=0), measured(images(0.01, 0.2, seed=5), seed=1)
    found = difference(("ct", "mnist"), one, two, norm="l2")
    assert found.answer == "no difference shown, absolute and against contrast"
    assert found.absolute.low < 0 < found.absolute.high
    none = difference(("ct", "mnist"), one, measured(images(0.01, 0.2, never=150), seed=1), norm="l2")
    assert none.absolute.value is None and none.answer == "not measured, absolute and against contrast"


def test_intervals_cover_the_true_difference():
    hits = 0
    for trial in range(60):
        one = measured(images(0.01, 0.2, n=60, seed=2 * trial), seed=0)
        two = measured(images(0.012, 0.2, n=60, seed=2 * trial + 1), seed=1)
        gap = difference(("a", "b"), one, two, norm="linf").absolute
        hits += gap.low <= -0.002 <= gap.high
    assert hits >= 52, "95 % intervals; 52 of 60 is 87 %"


def test_patients_widen_the_interval():
    sizes = np.repeat(0.01 * np.exp(np.random.default_rng(0).normal(0, 0.5, 20)), 10)
    loose, tied = (
        measured(Flipped({"linf": sizes}, sizes > 0, np.ones(200), groups, (1, 8, 8)), seed=0).found.sizes[0].absolute
        for groups in (("",) * 200, tuple(f"p{i // 10}" for i in range(200)))
    )
    assert tied.high - tied.low > 1.5 * (loose.high - loose.low) and "20 clusters" in tied.method


def test_nothing_to_measure_is_an_error():
    with pytest.raises(DataError, match="no image is decided rightly"):
        measured(images(0.01, 0.2, right=np.zeros(200, dtype=bool)), seed=0)
    with pytest.raises(DataError, match="have no contrast"):
        measured(images(0.01, 0.0), seed=0)
