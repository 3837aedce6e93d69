"""FROC and slide AUC on cases counted by hand, and lesions and detections on drawn grids."""

import numpy as np
import pytest
from monai.metrics import compute_froc_curve_data, compute_froc_score

from percuss.core.errors import DataError
from percuss.evaluate.froc import ALARMS, SlideHits, froc, judge_slide
from percuss.evaluate.lesions import Detections, lesions_of, longest_axis, maxima, parts

UM = 10.0


def places(*rows):
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return Detections(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2])


def drawn(*boxes, side=120):
    truth = np.zeros((side, side), np.uint8)
    for top, left, high, wide in boxes:
        truth[top : top + high, left : left + wide] = 1
    return truth


def test_near_outlines_are_one_lesion_and_small_ones_are_isolated_cells():
    """At 10 um each is widened by 3 places (below 37.5 um): a gap of 6 closes, one of 7 does not."""
    assert lesions_of(drawn((10, 10, 30, 30), (10, 46, 30, 30)), um=UM).counted == [1]
    assert lesions_of(drawn((10, 10, 30, 30), (10, 47, 30, 30)), um=UM).counted == [1, 2]
    small = lesions_of(drawn((10, 10, 40, 40), (80, 80, 10, 10)), um=UM)
    assert small.counted == [1] and small.isolated == {2}
    ring = drawn((10, 10, 40, 40))
    ring[20:40, 20:40] = 0
    assert lesions_of(ring, um=UM).labels[30, 30] == 1  # holes are filled
    none = lesions_of(drawn(), um=UM)
    assert none.counted == [] and not none.labels.any()


def test_longest_axis_of_known_shapes():
    bar = np.ones((1, 40))
    assert longest_axis(bar) == pytest.approx(4 * np.sqrt((40**2 - 1) / 12))
    rows, columns = np.ogrid[-70:71, -70:71]
    assert longest_axis((rows / 2) ** 2 + columns**2 <= 30**2) == pytest.approx(120, rel=0.01)
    assert longest_axis(rows**2 + columns**2 <= 30**2) == pytest.approx(60, rel=0.01)
    assert longest_axis(np.ones((1, 1))) == 0


def test_detections_of_one_slide():
    truth = drawn((10, 10, 40, 40), (60, 60, 50, 50), (100, 5, 8, 8))
    truth[0:5, 110:] = 255
    lesions = lesions_of(truth, um=UM)
    found = places((20, 20, 0.9), (30, 30, 0.7), (103, 8, 0.8), (5, 60, 0.6), (80, 10, 0.4), (2, 115, 0.95))
    hits = judge_slide("a", found, lesions)
    assert hits.tumour and hits.score == 0.95
    # Twice in one lesion counts once, with the best; isolated cells and what nobody judges count neither way.
    assert sorted(hits.found) == [-np.inf, 0.9] and hits.alarms == (0.6, 0.4)


def test_a_curve_counted_by_hand():
    """Three slides, four lesions; scores from the highest: hit, alarm, hit, alarm, alarm, hit; one is missed."""
    slides = [
        SlideHits("a", "", True, 0.9, (0.9, 0.7), (0.8,)),
        SlideHits("b", "", True, 0.5, (0.4, -np.inf), (0.6,)),
        SlideHits("c", "", False, 0.5, (), (0.5,)),
    ]
    found = froc(slides)
    assert found.lesions == 4
    np.testing.assert_allclose(found.alarms * 3, [0, 0, 1, 1, 2, 3, 3])
    np.testing.assert_allclose(found.sensitivity * 4, [0, 1, 1, 2, 2, 2, 3])
    # At a quarter of an alarm per slide: between none and one alarm in all, where one lesion is found.
    by_hand = {0.25: 1 / 4, 0.5: 2 / 4, 1.0: 3 / 4, 2.0: 3 / 4, 4.0: 3 / 4, 8.0: 3 / 4}
    assert {rate: item.value for rate, item in found.at.items()} == pytest.approx(by_hand)
    assert found.score.value == pytest.approx(sum(by_hand.values()) / 6) and found.score.n == 3
    assert found.auc.value == 0.75  # 0.9 and 0.5 against 0.5: one won, one tied
    assert tuple(found.at) == ALARMS


@pytest.mark.parametrize("seed", range(5))
def test_equals_monai(seed):
    """A missed lesion has score 0 there; the lowest threshold, which it drops, is that one."""
    rng = np.random.default_rng(seed)
    slides = [
        SlideHits(
            f"s{i}",
            "",
            True,
            0.0,
            tuple(np.where(rng.random(3) < 0.2, -np.inf, rng.choice(40, 3) / 40 + 0.02)) + (-np.inf,) * (i == 0),
            tuple(rng.choice(40, rng.integers(0, 9)) / 40 + 0.01),
        )
        for i in range(12)
    ]
    hits = np.array([max(score, 0.0) for slide in slides for score in slide.found])
    alarms = np.array([score for slide in slides for score in slide.alarms])
    rates, sensitivity = compute_froc_curve_data(alarms, hits, len(hits), len(slides))
    found = froc(slides)
    assert found.score.value == pytest.approx(compute_froc_score(rates, sensitivity))
    np.testing.assert_allclose(found.alarms, rates[::-1])
    np.testing.assert_allclose(found.sensitivity, sensitivity[::-1])


def test_all_found_without_alarm_is_1_and_nothing_found_is_0():
    perfect = [SlideHits(f"t{i}", "", True, 0.9, (0.9,), ()) for i in range(8)]
    normal = [SlideHits(f"n{i}", "", False, 0.1, (), ()) for i in range(8)]
    found = froc([*perfect, *normal])
    assert found.score.value == found.auc.value == 1
    assert found.score.low == pytest.approx(0.676, abs=0.001)  # Wilson over the 8 slides with a lesion
    missed = [SlideHits(f"t{i}", "", True, 0.0, (-np.inf,), (0.5,)) for i in range(3)]
    assert froc(missed).score.value == 0 and froc(missed).auc.value is None
    none = froc(normal)
    assert none.score.value is None and "no lesion" in none.score.method and none.at[1.0].value is None


def test_intervals_are_over_patients_where_they_are_known():
    rng = np.random.default_rng(0)
    slides = [
        SlideHits(
            f"s{i}",
            f"p{i // 2}",
            i % 2 == 0,
            float(rng.normal() + (i % 2 == 0)),
            tuple(rng.normal(1, 1, size=3)) if i % 2 == 0 else (),
            tuple(rng.normal(size=5)),
        )
        for i in range(30)
    ]
    found = froc(slides, seed=1)
    assert found.score.low < found.score.value < found.score.high
    assert found.auc.low < found.auc.value < found.auc.high
    assert "15 clusters" in found.score.method
    assert all(
        a.value <= b.value for a, b in zip(list(found.at.values())[:-1], list(found.at.values())[1:], strict=True)
    )
    again = froc(slides, seed=1)
    assert (again.score, again.at) == (found.score, found.at)


def test_maxima_keep_apart_and_parts_are_connected():
    scores = np.full((40, 40), -1.0)
    scores[10, 10], scores[10, 14], scores[30, 30] = 3.0, 2.0, 1.0
    found = maxima(scores, um=UM)
    assert found.score.tolist() == [3.0, 1.0] and (found.row[0], found.column[0]) == (10, 10)
    assert maxima(scores, um=UM, apart=20.0).score.tolist() == [3.0, 2.0, 1.0]
    assert maxima(scores, um=UM, least=1.5).score.tolist() == [3.0]
    level = np.where(np.hypot(*np.ogrid[-20:20, -20:20]) < 5, 0.9, np.nan)
    assert len(maxima(level, um=UM, apart=200.0).score) == 1  # a flat top is one detection
    joined = np.full((20, 20), -1.0)
    joined[2:5, 2:5], joined[3, 3], joined[5, 5], joined[15, 15] = 1.0, 4.0, 2.0, 3.0
    both = parts(joined)
    assert both.score.tolist() == [4.0, 3.0] and both.row.tolist() == [3, 15]
    assert len(parts(joined, least=9.0).score) == 0 == len(maxima(joined, um=UM, least=9.0).score)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="resolution of a map"):
        lesions_of(drawn(), um=0.0)
    with pytest.raises(DataError, match="two sides"):
        maxima(np.zeros((2, 2, 2)), um=UM)
    with pytest.raises(DataError, match="needs slides"):
        froc([])
    twin = SlideHits("a", "", False, 0.0, (), ())
    with pytest.raises(DataError, match="each once"):
        froc([twin, twin])
