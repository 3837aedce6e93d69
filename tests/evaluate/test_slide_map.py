"""Numbers of a whole slide's map from its bands: the same as from the whole map."""

import numpy as np
import pytest
from scipy.special import expit

from percuss.evaluate.heat_scores import average_precision
from percuss.evaluate.slide_map import Reduced, SlideMap


@pytest.fixture
def map_():
    rng = np.random.default_rng(0)
    scores = rng.normal(-2, 1, (90, 70)).astype(np.float32)
    scores[10:40, 20:50] += 5
    scores[60:64, 5:9] += 6
    scores[:, 65:] = np.nan
    truth = np.zeros((90, 70), np.uint8)
    truth[10:40, 20:50], truth[80:, :], truth[50:55, 64:67] = 1, 255, 1
    return scores, truth


def counted(scores, truth, heights):
    found, top = SlideMap(*scores.shape), 0
    for height in heights:
        found.add(scores[top : top + height], None if truth is None else truth[top : top + height])
        top += height
    assert top == len(scores)
    return found


@pytest.mark.parametrize("heights", [(90,), (32, 32, 26), (1,) * 90])
def test_bands_give_the_numbers_of_the_whole(map_, heights):
    scores, truth = map_
    known, told = np.isfinite(scores), counted(*map_, heights).numbers()
    judged = known & (truth != 255)
    assert told["cells"] == known.sum() and told["judged_cells"] == judged.sum()
    assert told["mean_probability"] == pytest.approx(expit(scores[known].astype(float)).mean())
    assert told["share_above_half"] == pytest.approx((scores[known] > 0).mean())
    assert told["auc_pr"] == pytest.approx(average_precision(scores[judged], truth[judged]), abs=1e-3)
    assert told["prevalence"] == pytest.approx((truth[judged] == 1).mean())
    assert told["tumour_cells_left_out"] == 5 * 2
    bare = counted(scores, None, heights).numbers()
    assert bare["auc_pr"] is None and bare["judged_cells"] == 0 and bare["mean_probability"] == told["mean_probability"]


def test_components_are_connected_areas(map_):
    found = counted(*map_, (90,)).components(cell_um=50.0)
    assert len(found) >= 2 and found[0].area_mm2 == pytest.approx(900 * 0.05**2, rel=0.05)
    assert (found[0].row, found[0].column) == pytest.approx((25, 35), abs=1) and 0.9 < found[0].highest <= 1
    assert [item.area_mm2 for item in found] == sorted((item.area_mm2 for item in found), reverse=True)
    assert counted(np.full((4, 4), -3, np.float32), None, (4,)).components(4.0) == []


def test_a_reduced_map_holds_means(map_):
    scores = map_[0]
    small = Reduced(90, 70, most=30)
    for top in range(0, 90, 7):
        small.add(scores[top : top + 7], top)
    assert small.factor == 3
    padded = np.full((90, 72), np.nan)
    padded[:, :70] = scores
    with np.errstate(invalid="ignore"):
        blocks = padded.reshape(30, 3, 24, 3)
        known = np.isfinite(blocks).sum((1, 3))
        want = np.nansum(blocks, (1, 3)) / known
    assert np.allclose(small.map(), want, atol=1e-5, equal_nan=True) and np.isnan(small.map()[:, 22:]).all()


def test_a_slide_is_judged_for_froc(map_):
    hits = counted(*map_, (90,)).hits("one", cell_um=50.0)
    assert hits.tumour and len(hits.found) >= 1 and max(hits.found) > 0.5 and hits.alarms
    assert hits.score == pytest.approx(np.nanmax(expit(map_[0].astype(float))), abs=1e-6)
    empty = counted(map_[0], np.zeros_like(map_[1]), (90,)).hits("two", cell_um=50.0)
    assert not empty.tumour and empty.found == () and len(empty.alarms) > len(hits.alarms) - 1
