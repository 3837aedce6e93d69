"""Average precision of cells: exact against two libraries, binned within its bounds, merged from any parts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve
from torchmetrics.functional.classification import binary_average_precision

from percuss.core.errors import DataError
from percuss.evaluate.heat_histogram import HeatHistogram, as_arrays, bin_of, edges
from percuss.evaluate.heat_scores import average_precision, ranked, trapezoid_area


def cells(n=4000, *, share=0.27, lead=1.0, seed=0, kind=np.float16):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < share).astype(np.uint8)
    return (rng.normal(size=n) * 2 + lead * truth).astype(kind), truth


def counted(scores, truth, bins=8192):
    found = HeatHistogram.empty(bins)
    found.add(scores, truth)
    return found


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("ties", [False, True])
def test_exact_equals_two_libraries(kind, ties):
    scores, truth = cells(kind=kind)
    scores = np.round(scores) if ties else scores
    found = average_precision(scores, truth)
    assert found == pytest.approx(average_precision_score(truth, scores.astype(np.float64)), abs=1e-12)
    torched = binary_average_precision(torch.from_numpy(scores.astype(np.float64)), torch.from_numpy(truth).long())
    assert found == pytest.approx(float(torched), abs=2e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-7.5, -1.0, -0.0, 0.0, 0.25, 3.0, 60000.0]), st.booleans()), min_size=2))
def test_half_precision_sorts_as_floats_do(pairs):
    scores, truth = np.array([p[0] for p in pairs], dtype=np.float16), np.array([p[1] for p in pairs], dtype=np.uint8)
    fast, slow = average_precision(scores, truth), average_precision(scores.astype(np.float64), truth)
    assert fast == slow
    if 0 < truth.sum() < len(truth):
        assert fast == pytest.approx(average_precision_score(truth, scores.astype(np.float64)), abs=1e-12)
        low, high = counted(scores, truth, 64).bounds()
        assert low - 1e-12 <= fast <= high + 1e-12


@pytest.mark.parametrize("value", [-3.0, 0.0, 0.731, np.inf])
def test_a_constant_score_has_the_prevalence(value):
    truth = np.array([1] * 27 + [0] * 73, dtype=np.uint8)
    scores = np.full(100, value)
    histogram = counted(scores, truth)
    assert average_precision(scores, truth) == trapezoid_area(scores, truth) == 0.27
    assert histogram.auc_pr() == histogram.trapezoid() == histogram.prevalence() == 0.27


def test_perfect_reversed_and_one_class_only():
    truth = np.array([0, 0, 0, 1, 1], dtype=np.uint8)
    assert average_precision(truth * 2.0, truth) == trapezoid_area(truth * 2.0, truth) == 1.0
    assert counted(truth * 2.0, truth).bounds() == pytest.approx((1.0, 1.0), abs=1e-12)
    assert average_precision(-1.0 * truth, truth) == 0.4 and average_precision([3, 2, 1], [0, 1, 0]) == 0.5
    for only in (0, 1):
        same = np.full(5, only, dtype=np.uint8)
        histogram = counted(np.arange(5.0), same)
        assert average_precision(np.arange(5.0), same) is None and trapezoid_area(np.arange(5.0), same) is None
        assert histogram.auc_pr() is None and histogram.bounds() is None and histogram.prevalence() == only
    assert average_precision(np.zeros(0), np.zeros(0)) is None and HeatHistogram.empty().prevalence() is None


def test_trapezoid_is_sklearns_but_for_the_made_up_first_point():
    scores, truth = cells(300, kind=np.float64)
    precision, recall, _ = precision_recall_curve(truth, scores)
    kept = recall > 0
    own = trapezoid_area(scores, truth)
    level = precision[kept][-1] * recall[kept][-1]  # the first line runs level
    assert own == pytest.approx(level - np.trapezoid(precision[kept], recall[kept]), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("lead", [-2.0, 0.0, 1.0, 5.0])
def test_binned_lies_within_its_bounds_and_near(seed, lead):
    scores, truth = cells(20000, lead=lead, seed=seed, kind=np.float64)
    exact = average_precision(scores, truth)
    for bins, room in ((16, 0.3), (256, 0.02), (8192, 5e-4)):
        found = counted(scores, truth, bins)
        low, high = found.bounds()
        assert low <= exact <= high and low <= found.auc_pr() <= high
        assert abs(found.auc_pr() - exact) <= max(high - found.auc_pr(), found.auc_pr() - low) <= room


def test_bounds_are_reached_by_the_worst_and_best_order_inside_a_bin():
    truth = np.array([1, 0, 1, 1, 0, 0, 1], dtype=np.uint8)
    near = np.array([5, 1, 1, 1, 1, 1, -5.0])
    low, high = counted(near, truth, 16).bounds()
    tumour = near + 1e-6 * np.array([0, 0, 1, 1, 0, 0, 0])
    normal = near + 1e-6 * np.array([0, 5, 1, 2, 5, 5, 0])
    assert average_precision(tumour, truth) == pytest.approx(high, abs=1e-12)
    assert average_precision(normal, truth) == pytest.approx(low, abs=1e-12)


def test_tiles_and_slides_merge_to_the_whole():
    scores, truth = cells(6000)
    truth[::7] = 255
    parts = [counted(s, t) for s, t in zip(np.split(scores, 6), np.split(truth, 6), strict=True)]
    whole, merged = counted(scores, truth), parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    assert as_arrays(merged) == as_arrays(whole) and merged.cells == int((truth != 255).sum())
    assert merged.auc_pr() == whole.auc_pr()
    again = HeatHistogram(**{key: np.array(value) for key, value in as_arrays(whole).items()})
    assert again.auc_pr() == whole.auc_pr()
    with pytest.raises(DataError, match="different bins"):
        whole.merge(HeatHistogram.empty(16))
    with pytest.raises(DataError, match="needs bins"):
        HeatHistogram.empty(1)


def test_bins_rise_with_the_logit_and_never_end():
    logits = np.array([-np.inf, -60000, -30, -1, 0, 1, 30, 60000, np.inf])
    places = bin_of(logits)
    assert (np.diff(places) >= 0).all() and len(set(places.tolist())) == 7
    assert places[0] == 0 and places[-1] == 8191
    for bins in (16, 8192):
        middle = edges(bins)
        assert (bin_of(np.nextafter(middle, np.inf) + 1e-9, bins) == np.arange(1, bins)).all()
        assert (bin_of(middle - 1e-9 * (1 + np.abs(middle)), bins) == np.arange(bins - 1)).all()


def test_the_curve_for_a_plot_ends_where_it_must():
    scores, truth = cells(5000)
    recall, precision = ranked(scores, truth).curve(50)
    assert len(recall) <= 50 and recall[-1] == 1 and precision[-1] == pytest.approx(truth.mean())
    assert (np.diff(recall) >= 0).all() and ((precision > 0) & (precision <= 1)).all()
    with pytest.raises(DataError, match="both kinds"):
        ranked(scores, np.zeros_like(truth)).curve()


@pytest.mark.parametrize(
    ("scores", "truth", "words"),
    [
        ([1.0, 2.0], [0], "differ in shape"),
        ([1.0, np.nan], [0, 1], "hold NaN"),
        ([1.0, 2.0], [0, 7], "unknown value \\(7\\)|unknown value"),
    ],
)
def test_wrong_input_is_refused(scores, truth, words):
    with pytest.raises(DataError, match=words):
        average_precision(np.array(scores), np.array(truth))


def test_cells_without_judgement_do_not_count():
    scores, truth = np.array([9.0, 3.0, np.nan, 1.0]), np.array([255, 1, 255, 0])
    assert average_precision(scores, truth) == 1.0 and ranked(scores, truth).prevalence() == 0.5
