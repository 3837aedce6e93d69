"""The jackknife over cases and over patients against leaving each out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.study.statistics.case_jackknife import jackknife_covariance, unit_count, units_alone
from percuss.study.statistics.mrmc import case_covariance, estimate


def by_hand(values, units):
    names = sorted(set(np.concatenate(units).tolist()))
    left = []
    for name in names:
        kept = [np.flatnonzero(part != name) for part in units]
        cut = values[:, kept[0]] if values.ndim == 2 else values[:, kept[0]][:, :, kept[1]]
        left.append(cut.reshape(len(values), -1).mean(axis=1))
    count = len(names)
    return np.cov(np.array(left).T) * (count - 1) ** 2 / count


def test_patients_are_left_out_with_all_their_cases() -> None:
    rng = np.random.default_rng(1)
    share = rng.integers(0, 2, (3, 9)).astype(float)
    patients = (np.array([0, 0, 0, 5, 5, 7, 2, 2, 9]),)
    assert jackknife_covariance(share, patients) == pytest.approx(by_hand(share, patients))
    auc = rng.choice([0.0, 0.5, 1.0], (3, 6, 5))
    # A patient may have cases of both classes.
    both = (np.array([0, 0, 1, 2, 3, 3]), np.array([0, 1, 1, 4, 5]))
    assert jackknife_covariance(auc, both) == pytest.approx(by_hand(auc, both))
    assert unit_count(both) == 6


def test_cases_alone_are_the_plain_jackknife() -> None:
    values = np.random.default_rng(2).integers(0, 2, (2, 12)).astype(float)
    assert jackknife_covariance(values) == pytest.approx(case_covariance(values))
    assert [part.tolist() for part in units_alone(np.zeros((1, 2, 3)))] == [[0, 1], [2, 3, 4]]


def test_what_leaves_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="two of them with cases of each class"):
        jackknife_covariance(np.ones((2, 3)), (np.zeros(3, dtype=np.int64),))
    with pytest.raises(DataError, match="two of them"):
        jackknife_covariance(np.ones((2, 2, 2)), (np.array([0, 1]), np.array([2, 2])))


def test_readers_and_patients_random() -> None:
    # Two cases of each of 20 patients, answered alike: as much as 20 cases.
    rng = np.random.default_rng(3)
    values = rng.integers(0, 2, (3, 20)).astype(float)
    twice, patients = np.repeat(values, 2, axis=1), (np.repeat(np.arange(20), 2),)
    one, two = estimate(values, paired=False), estimate(twice, paired=False, units=patients)
    assert (two.interval.low, two.interval.high, two.df) == pytest.approx((one.interval.low, one.interval.high, one.df))
    assert two.reader_variance == pytest.approx(one.reader_variance)
    assert two.interval.method == "jackknife over 20 patients, 3 readers random, Hillis df"
    alone = estimate(twice[:1], paired=True, units=patients)
    assert (alone.df, alone.interval.method) == (19, "jackknife over 20 patients, one reader")
