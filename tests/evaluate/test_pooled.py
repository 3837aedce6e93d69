"""Differences over training seeds: closed cases, coverage, correction, and what cannot be said."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from percuss.evaluate.intervals import Clusters
from percuss.evaluate.pooled import over_seeds


def alone(count):
    return Clusters.of([""] * count, 0, draws=1)


def test_one_seed_is_the_t_test_over_images_and_says_so():
    change = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (1, 40), p=[0.1, 0.6, 0.3])
    interval, p_value = over_seeds(change, alone(40))
    peer = ttest_1samp(change[0], 0)
    ends = peer.confidence_interval()
    assert p_value == pytest.approx(peer.pvalue) and interval.method.startswith("one seed: 40 images alone")
    assert (interval.low, interval.high) == pytest.approx((ends.low, ends.high))


def test_seeds_that_differ_and_images_that_do_not_is_the_t_test_over_seeds():
    """Each seed gains the same on every image: only seeds vary, and their number decides."""
    each = np.array([0.1, 0.4, 0.2, 0.25])
    interval, p_value = over_seeds(np.repeat(each[:, None], 50, 1), alone(50))
    peer = ttest_1samp(each, 0)
    ends = peer.confidence_interval()
    assert p_value == pytest.approx(peer.pvalue)
    assert (interval.low, interval.high) == pytest.approx((ends.low, ends.high))


def test_patients_of_equal_images_count_once():
    rng = np.random.default_rng(1)
    change = rng.choice([-1.0, 0.0, 1.0], (1, 30))
    groups = [f"p{i}" for i in range(30) for _ in range(4)]
    interval, p_value = over_seeds(np.repeat(change, 4, 1), Clusters.of(groups, 0, draws=1))
    once, once_p = over_seeds(change, alone(30))
    assert (interval.low, interval.high, p_value) == pytest.approx((once.low, once.high, once_p))
    assert "30 patients" in interval.method and interval.n == 120


def test_intervals_hold_the_truth_where_seeds_and_images_vary():
    """No true difference, crossed effects of seeds and images: at least 93 % of 600 intervals hold zero."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(600):
        seeds, images = 0.1 * rng.normal(size=(3, 1)), 0.4 * rng.normal(size=(1, 60))
        interval, p_value = over_seeds(np.clip(seeds + images + 0.3 * rng.normal(size=(3, 60)), -1, 1), alone(60))
        held += interval.low <= 0 <= interval.high
        assert (p_value < 0.05) == (not interval.low <= 0 <= interval.high)
    assert 0.93 <= held / 600 < 1
    # The images alone would not do: their interval is too short in such a world.


def test_nothing_is_claimed_where_nothing_varies():
    for change, words in (
        (np.zeros((3, 20)), "nothing varies"),
        (np.full((2, 20), 0.5), "nothing varies"),
        (np.zeros((3, 1)), "fewer than two images"),
        (np.zeros((3, 0)), "fewer than two images"),
    ):
        interval, p_value = over_seeds(change, alone(change.shape[1]))
        assert interval.low is None and p_value is None and words in interval.method
