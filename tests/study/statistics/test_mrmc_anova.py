"""Obuchowski and Rockette's F-test against published output, leaving out cases by hand, and the U-statistic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import f as fisher
from scipy.stats import ttest_rel
from tests.study.van_dyke import van_dyke

from percuss.core.errors import DataError
from percuss.study.statistics import mrmc
from percuss.study.statistics.mrmc_anova import obuchowski_rockette
from percuss.study.statistics.mrmc_table import Readings


def drawn(seed: int, readers: int = 3, cases: int = 12, top: int = 5) -> Readings:
    scores = np.random.default_rng(seed).integers(0, top, size=(2, readers, cases)).astype(float)
    names = [tuple(f"{letter}{i}" for i in range(n)) for letter, n in (("r", readers), ("c", cases))]
    return Readings(names[0], names[1], ("a0", "a1"), scores, np.arange(cases) % 3 == 0)


def test_van_dyke_with_the_jackknife_as_published() -> None:
    # Output of OR-DBM MRMC 2.51 (trapezoidal area, jackknife), as kept in RJafroc, inst/Iowa/VanDyke.txt.
    found = obuchowski_rockette(van_dyke(), "1", "2", measure="auc")
    assert found.difference.value == pytest.approx(-0.04380032, abs=5e-9)
    assert found.mean_square_arm == pytest.approx(0.00479617, abs=5e-9)
    assert found.mean_square_interaction == pytest.approx(0.00055103, abs=5e-9)
    assert (found.variance, *found.covariances) == pytest.approx(
        (0.00080229, 0.00034661, 0.00034407, 0.00023903), abs=5e-9
    )
    assert (found.statistic, found.df) == pytest.approx((4.46, 15.26), abs=0.005)
    assert found.p_value == pytest.approx(0.0517, abs=5e-5)
    assert found.statistic is not None
    assert found.p_value == pytest.approx(float(fisher.sf(found.statistic, 1, found.df)))
    assert (found.difference.low, found.difference.high) == pytest.approx((-0.08796, 0.00036), abs=5e-6)


def test_van_dyke_without_bias_as_published() -> None:
    # MRMCaov's user guide, cov = unbiased.
    found = obuchowski_rockette(van_dyke(), "1", "2", measure="auc", covariance="unbiased")
    known = (0.0007883925, 0.0003416706, 0.0003390650, 0.0002356148)
    assert (found.variance, *found.covariances) == pytest.approx(known, abs=6e-11)
    assert (found.statistic, found.df, found.p_value) == pytest.approx((4.489614, 15.03418, 0.0511618), rel=1e-6)


@pytest.mark.parametrize("measure", ["auc", "share"])
def test_the_jackknife_equals_leaving_out_each_case(measure: mrmc.Measure) -> None:
    study = drawn(1, top=2 if measure == "share" else 5)
    assert study.truth is not None
    left = []
    for case in range(12):
        kept = np.arange(12) != case
        names = tuple(np.array(study.cases)[kept])
        cut = Readings(study.readers, names, study.arms, study.scores[:, :, kept], study.truth[kept])
        left.append([x for arm in study.arms for x in mrmc.one_arm(cut, arm, measure=measure).per_reader])
    # numpy's covariance divides by n - 1; the jackknife's factor is (n - 1) / n of the sum.
    matrix = np.cov(np.array(left).T) * 11**2 / 12
    found = obuchowski_rockette(study, "a0", "a1", measure=measure)
    assert found.variance == pytest.approx(np.diag(matrix).mean())
    assert found.covariances[0] == pytest.approx(np.mean([matrix[i, i + 3] for i in range(3)]))
    apart = [(i, j) for i in range(3) for j in range(3) if i != j]
    assert found.covariances[1] == pytest.approx(np.mean([matrix[i + d, j + d] for i, j in apart for d in (0, 3)]))
    assert found.covariances[2] == pytest.approx(np.mean([matrix[i, j + 3] for i, j in apart]))


@pytest.mark.parametrize("seed", range(5))
def test_unbiased_covariances_give_the_u_statistic(seed: int) -> None:
    study = drawn(seed)
    one = obuchowski_rockette(study, "a0", "a1", measure="auc", covariance="unbiased")
    two = mrmc.difference(study, "a0", "a1", measure="auc")
    assert (one.difference.low, one.difference.high) == pytest.approx((two.interval.low, two.interval.high))
    assert (one.df, one.p_value) == pytest.approx((two.df, two.p_value))
    gap = one.covariances[1] - one.covariances[2]
    assert two.variance == pytest.approx(2 * one.mean_square_interaction / 3 + 2 * gap)


def test_without_a_covariance_between_readers_it_is_the_t_test_over_readers() -> None:
    for seed in range(50):
        study = drawn(seed)
        found = obuchowski_rockette(study, "a0", "a1", measure="auc")
        if found.covariances[1] > found.covariances[2]:
            continue
        means = [mrmc.one_arm(study, arm, measure="auc").per_reader for arm in study.arms]
        assert found.df == 2
        assert found.p_value == pytest.approx(float(ttest_rel(*means).pvalue))
        return
    pytest.fail("no draw has a negative covariance")


def test_edges() -> None:
    with pytest.raises(DataError, match="two readers: 1 reader"):
        obuchowski_rockette(drawn(1, readers=1), "a0", "a1", measure="auc")
    study = drawn(2)
    same = Readings(study.readers, study.cases, study.arms, np.repeat(study.scores[:1], 2, axis=0), study.truth)
    found = obuchowski_rockette(same, "a0", "a1", measure="auc")
    assert (found.statistic, found.p_value, found.difference.low) == (None, None, None)
    # All readers change alike: no interaction, so the error term is the cases' alone and its df has no bound.
    alike = Readings(study.readers, study.cases, study.arms, study.scores[:, :1].repeat(3, axis=1), study.truth)
    found = obuchowski_rockette(alike, "a0", "a1", measure="auc")
    assert math.isinf(found.df) and found.p_value is not None and 0 < found.p_value < 1
