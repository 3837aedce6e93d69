"""Paired differences against statsmodels, and the coverage of their interval."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from percuss.core.errors import UsageError
from percuss.evaluate.intervals import Clusters
from percuss.evaluate.paired import paired_difference


def flags(both, ahead, behind, neither):
    first = [True] * (both + ahead) + [False] * (behind + neither)
    second = [True] * both + [False] * ahead + [True] * behind + [False] * neither
    return np.array(first), np.array(second), Clusters.of([""] * len(first), 0)


@pytest.mark.parametrize("cells", [(20, 12, 3, 5), (0, 1, 0, 0), (5, 0, 0, 5), (1, 7, 7, 1)])
def test_mcnemar_equals_statsmodels(cells):
    both, ahead, behind, neither = cells
    got = paired_difference(*flags(*cells))
    assert (got.first_only, got.second_only) == (ahead, behind)
    assert got.p_value == pytest.approx(mcnemar([[both, ahead], [behind, neither]], exact=True).pvalue)
    assert got.difference.value == pytest.approx((ahead - behind) / sum(cells))
    assert got.difference.low < got.difference.value <= got.difference.high


def test_the_interval_covers_about_95_percent():
    rng, covered, tries = np.random.default_rng(5), 0, 600
    for _ in range(tries):
        cells = rng.multinomial(40, [0.4, 0.25, 0.1, 0.25])
        got = paired_difference(*flags(*cells)).difference
        covered += got.low <= 0.15 <= got.high
    assert 0.93 <= covered / tries <= 0.98


def test_patients_are_drawn_whole_and_no_p_value_pretends_otherwise():
    rng = np.random.default_rng(1)
    first = np.repeat(rng.random(20) < 0.7, 5)
    second = np.repeat(rng.random(20) < 0.4, 5)
    groups = [f"p{i // 5}" for i in range(100)]
    got = paired_difference(first, second, Clusters.of(groups, 0))
    plain = paired_difference(first, second, Clusters.of([""] * 100, 0))
    assert got.p_value is None and "20 clusters" in got.difference.method
    assert got.difference.high - got.difference.low > 1.5 * (plain.difference.high - plain.difference.low)


def test_alike_patients_give_no_width_that_could_be_believed():
    got = paired_difference(np.ones(6, dtype=bool), np.ones(6, dtype=bool), Clusters.of(list("aabbcc"), 0))
    assert (got.difference.value, got.difference.low, got.difference.high) == (0.0, None, None)


def test_no_image_and_other_images():
    none = np.zeros(0, dtype=bool)
    assert paired_difference(none, none, Clusters.of([], 0)).difference.value is None
    with pytest.raises(UsageError, match="a paired comparison needs the same images: 2, 3 and 2 images"):
        paired_difference(np.ones(2, dtype=bool), np.ones(3, dtype=bool), Clusters.of(["", ""], 0))
