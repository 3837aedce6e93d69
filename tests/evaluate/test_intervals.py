"""Intervals against statsmodels, and their coverage where patients are clustered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from percuss.evaluate.intervals import Clusters, mean, proportion, statistic, wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_statsmodels(pair):
    hits, n = pair
    low, high = proportion_confint(hits, n, method="wilson")
    got = wilson(hits, n)
    assert (got.low, got.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert got.value == hits / n


def test_no_image_is_undefined_not_zero():
    got = wilson(0, 0)
    assert (got.value, got.low, got.high, got.n) == (None, None, None, 0)


def test_without_patients_wilson_is_used():
    flags = np.array([True, False, True, True])
    assert proportion(flags, Clusters.of([""] * 4, 0)).method == "Wilson"


def test_patients_make_the_interval_wider_when_their_images_agree():
    rng = np.random.default_rng(0)
    flags = np.repeat(rng.random(30) < 0.5, 10)
    groups = [f"p{i // 10}" for i in range(300)]
    clustered, plain = proportion(flags, Clusters.of(groups, 1)), wilson(int(flags.sum()), 300)
    assert clustered.high - clustered.low > 2 * (plain.high - plain.low)
    assert clustered.method.startswith("patient-cluster bootstrap, 30 clusters")


def test_unanimous_images_get_the_width_of_their_patients():
    got = proportion(np.ones(100, dtype=bool), Clusters.of([f"p{i % 5}" for i in range(100)], 0))
    low, _ = proportion_confint(5, 5, method="wilson")
    assert got.low == pytest.approx(low) and got.method == "Wilson over 5 patients"


def test_the_same_seed_gives_the_same_interval():
    flags, groups = np.arange(60) % 3 == 0, [f"p{i % 20}" for i in range(60)]
    assert proportion(flags, Clusters.of(groups, 7)) == proportion(flags, Clusters.of(groups, 7))


def test_clustered_interval_covers_about_95_percent():
    rng, covered, tries = np.random.default_rng(3), 0, 200
    for seed in range(tries):
        chance = rng.beta(3, 2, size=40)  # mean 0.6
        flags = (rng.random((40, 6)) < chance[:, None]).ravel()
        got = proportion(flags, Clusters.of([f"p{i // 6}" for i in range(240)], seed, draws=400))
        covered += got.low <= 0.6 <= got.high
    assert 0.89 <= covered / tries <= 0.99


def test_mean_within_a_part():
    values = np.array([1.0, 2.0, 3.0, 100.0])
    got = mean(values, Clusters.of([""] * 4, 0), np.array([True, True, True, False]))
    assert got.value == pytest.approx(2.0) and got.n == 3 and 1 <= got.low <= got.high <= 3


@pytest.mark.parametrize("groups", [["one"] * 10, [f"p{i // 2}" for i in range(10)]])
def test_a_bootstrap_without_width_gives_way_to_wilson(groups):
    got = proportion(np.arange(10) % 2 == 0, Clusters.of(groups, 0))
    patients = len(set(groups))
    assert got.low < 0.5 < got.high and got.method == f"Wilson over {patients} patients"


def test_a_share_between_whole_images_keeps_its_place():
    got = wilson(3, 10, count=4)
    assert got.low < 0.3 < got.high
    assert wilson(0, 10, count=3).low == 0 and wilson(10, 10, count=3).high == 1


def test_one_patient_gives_a_mean_without_bounds():
    got = mean(np.arange(4.0), Clusters.of(["a"] * 4, 0), np.ones(4, dtype=bool))
    assert (got.value, got.low, got.high) == (1.5, None, None) and got.method.startswith("undefined")


def test_missing_values_are_left_out_and_not_counted():
    got = mean(np.array([1.0, np.nan, 3.0]), Clusters.of([""] * 3, 0), np.ones(3, dtype=bool))
    assert (got.value, got.n) == (2.0, 2)


def test_a_statistic_that_never_varies_in_between_has_no_bounds():
    clusters, every = Clusters.of([""] * 8, 0), np.ones(8, dtype=bool)
    got = statistic(0.5, clusters, lambda weights: 0.5, rarest=every)
    assert (got.value, got.low, got.high) == (0.5, None, None)


def test_images_of_unknown_patient_are_patients_of_their_own():
    clusters = Clusters.of(["a", "a", "", "", "b"], 0)
    assert (clusters.known, clusters.count, clusters.loose) == (True, 4, 2)
    assert Clusters.of(["a", "b", ""], 0).known is False
