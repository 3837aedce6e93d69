"""Referral by a score: thresholds, risk-coverage by brute force, and whether one score beats the other."""

import itertools

import numpy as np
import pytest

from percuss.core.errors import DataError, UsageError
from percuss.evaluate.triage import RiskCoverage, Scored, at_or_below, threshold_for, triage, triage_findings

INF = np.inf


def brute_area(scores, wrong):
    """Mean over every order that keeps higher scores first."""
    areas = []
    for order in itertools.permutations(range(len(scores))):
        ranked = [scores[i] for i in order]
        if all(a >= b for a, b in itertools.pairwise(ranked)):
            errors = np.cumsum([wrong[i] for i in order])
            areas.append(np.mean(errors / np.arange(1, len(order) + 1)))
    return float(np.mean(areas))


@pytest.mark.parametrize("seed", range(6))
def test_area_is_the_mean_over_all_orders_of_ties(seed):
    rng = np.random.default_rng(seed)
    scores, wrong = rng.choice([0.1, 0.2, 0.5, INF], 6), rng.random(6) < 0.5
    found = RiskCoverage(scores, wrong)
    assert found.area() == pytest.approx(brute_area(scores, wrong))
    coverage, risk = found.curve()
    assert risk.mean() == pytest.approx(found.area()) and coverage[-1] == 1
    assert risk[-1] == pytest.approx(wrong.mean())
    # A weight of two is the image twice.
    weights = np.array([2.0, 0, 1, 1, 0, 1])
    again = np.repeat(np.arange(6), weights.astype(int))
    assert found.area(weights) == pytest.approx(RiskCoverage(scores[again], wrong[again]).area())


def test_area_of_distinct_scores_is_the_plain_one():
    rng = np.random.default_rng(1)
    scores, wrong = rng.random(500), rng.random(500) < 0.2
    order = np.argsort(-scores)
    plain = np.mean(np.cumsum(wrong[order]) / np.arange(1, 501))
    assert RiskCoverage(scores, wrong).area() == pytest.approx(plain)
    assert RiskCoverage(np.zeros(500), wrong).area() == pytest.approx(wrong.mean())
    with pytest.raises(DataError):
        RiskCoverage(np.array([np.nan]), np.array([True]))


def test_threshold_is_the_nearest_share():
    scores = np.array([1.0, 2, 2, 2, 3, 4, 5, INF, INF, INF])
    assert threshold_for(scores, 0.1) == 1
    assert threshold_for(scores, 0.2) == 1  # 0.1 is nearer than 0.4
    assert threshold_for(scores, 0.3) == 2
    assert threshold_for(scores, 0.25) == 1  # equally near: the smaller
    assert threshold_for(scores, 0.95) == 5  # what never flipped is never referred
    assert threshold_for(scores, 0.01) is None and threshold_for(np.full(4, INF), 0.5) is None
    assert at_or_below(scores, 2).sum() == 4 and not at_or_below(scores, None).any()
    for share in (0, 1, -0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="share to refer"):
            threshold_for(scores, share)
    with pytest.raises(DataError):
        threshold_for(np.zeros(0), 0.2)


def simulated(seed, *, informative, n=600):
    """A hidden difficulty decides errors; confidence knows it through noise, sensitivity exactly or not at all."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(1.2, 1, n)
    wrong = rng.random(n) > 1 / (1 + np.exp(-2 * ease))
    sensitivity = np.exp(ease if informative else rng.normal(size=n))
    sensitivity[sensitivity > np.quantile(sensitivity, 0.9)] = INF
    return Scored(sensitivity, ease + rng.normal(0, 2, n), wrong, ("",) * n)


def test_an_informative_sensitivity_is_more_than_confidence():
    judged, val = simulated(0, informative=True), simulated(1, informative=True)
    found = triage(judged, val, 0.2)
    assert found.more is True and found.aurc_difference.low > 0 and "is more than confidence" in found.answer
    rule = found.sensitivity
    kept = judged.sensitivity > rule.threshold
    assert rule.threshold == threshold_for(val.sensitivity, 0.2)  # chosen on val, applied to the judged
    assert rule.coverage.value == pytest.approx(kept.mean()) and rule.calibrated == pytest.approx(0.2, abs=0.01)
    assert rule.kept.value == pytest.approx((~judged.wrong)[kept].mean())
    assert rule.deferred.value == pytest.approx((~judged.wrong)[~kept].mean())
    assert rule.gain.value == pytest.approx(rule.kept.value - found.accuracy.value) and rule.gain.low > 0
    assert found.aurc_best < rule.aurc.value < found.confidence.aurc.value < found.aurc_random
    assert 0 < found.confidence.threshold < 1 and found.n_censored == 60
    assert rule.aurc.low < rule.aurc.value < rule.aurc.high
    assert not [item.id for item in triage_findings(found, same=False)]


def test_an_uninformative_one_is_not():
    found = triage(simulated(2, informative=False), simulated(3, informative=False), 0.2)
    assert found.more is False and found.aurc_difference.high < 0
    assert "confidence orders errors better" in found.answer
    assert [item.id for item in triage_findings(found, same=False)] == ["triage-not-above-confidence"]


def test_equal_orders_are_not_called_more():
    judged = simulated(4, informative=True)
    same = Scored(np.exp(judged.log_odds), judged.log_odds, judged.wrong, judged.groups)
    found = triage(same, same, 0.2)
    assert found.more is None and found.aurc_difference.value == 0
    assert found.rank_correlation == pytest.approx(1) and "order these images alike" in found.answer
    # As published: the threshold knew the judged images.
    assert "triage-threshold-on-judged-images" in [item.id for item in triage_findings(found, same=True)]


def test_interval_of_the_difference_covers_nothing_where_nothing_is():
    hits = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        wrong = rng.random(150) < 0.3
        one = Scored(rng.random(150), rng.normal(size=150), wrong, ("",) * 150)
        hits += triage(one, one, 0.2, seed=seed).more is None
    assert hits >= 34  # 95 % of 40 is 38


def test_patients_are_drawn_whole():
    one = simulated(5, informative=True, n=200)
    groups = tuple(f"p{i // 20}" for i in range(200))
    many = triage(Scored(one.sensitivity, one.log_odds, one.wrong, groups), one, 0.2)
    assert "10 clusters" in many.aurc_difference.method and "cluster" in many.sensitivity.kept.method
    assert "images" in triage(one, one, 0.2).aurc_difference.method


def test_doubts_are_told():
    n = 50
    wrong = np.zeros(n, dtype=bool)
    robust = Scored(np.full(n, INF), np.linspace(1, 2, n), wrong, ("",) * n)
    found = triage(robust, robust, 0.2)
    assert found.more is None and "makes no error" in found.answer and found.rank_correlation is None
    assert found.sensitivity.threshold is None and found.sensitivity.deferred.value is None
    ids = [item.id for item in triage_findings(found, same=False)]
    assert ids == ["triage-too-few-flips", "triage-few-errors", "triage-not-above-confidence"]
    low, high = (Scored(np.linspace(a, a + 1, n), np.linspace(1, 2, n), wrong, ("",) * n) for a in (0, 0.7))
    assert "triage-share-shifted" in [item.id for item in triage_findings(triage(low, high, 0.2), same=False)]
