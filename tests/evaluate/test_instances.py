"""Numbered nuclei: by hand, beside plain loops, joined images, connected parts, errors."""

import math

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.evaluate.instances import InstanceCounts, components, count_instances


def row(text):
    return np.array([[int(letter) for letter in text]])


def test_by_hand():
    truth = row("1111100222000333")
    found = row("5555000770000400")
    counts = count_instances(found, truth)
    # 1 and 5: 4 of 5; 2 and 7: 2 of 3; 3 and 4: 1 of 3, which is no hit.
    assert (counts.hits, counts.false_alarms, counts.misses) == (2, 1, 1)
    assert counts.segmentation == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert counts.detection == pytest.approx(2 / 3)
    assert counts.panoptic == pytest.approx(counts.detection * counts.segmentation)
    assert counts.aji == counts.aji_plus == pytest.approx((4 + 2 + 1) / (5 + 3 + 3))


def test_an_iou_of_one_half_is_no_hit_and_a_merged_nucleus_serves_aji_twice_but_aji_plus_once():
    assert count_instances(row("1100"), row("1111")).hits == 0
    counts = count_instances(row("11110"), row("11220"))
    assert (counts.hits, counts.false_alarms, counts.misses) == (0, 1, 2)
    assert counts.aji == pytest.approx((2 + 2) / (4 + 4))
    assert counts.aji_plus == pytest.approx(2 / (4 + 2))


def by_loops(found, truth):
    """Sums of PQ and AJI from sets of pixels, written apart from what is tested."""

    def cut(values):
        return [set(zip(*np.nonzero(values == name), strict=True)) for name in np.unique(values) if name]

    trues, founds = cut(truth), cut(found)
    iou = [[len(t & f) / len(t | f) for f in founds] for t in trues]
    hits = [value for line in iou for value in line if value > 0.5]
    overlap, union, used = 0, 0, set()
    for t, line in zip(trues, iou, strict=True):
        best = max(range(len(line)), key=line.__getitem__, default=None)
        if best is None or line[best] == 0:
            union += len(t)
            continue
        used.add(best)
        overlap, union = overlap + len(t & founds[best]), union + len(t | founds[best])
    union += sum(len(f) for index, f in enumerate(founds) if index not in used)
    pq = sum(hits) / (len(hits) + (len(founds) + len(trues) - 2 * len(hits)) / 2)
    return pq, overlap / union


@pytest.mark.parametrize("seed", range(5))
def test_beside_plain_loops(seed):
    rng = np.random.default_rng(seed)
    truth, found = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.int32)
    for number in range(1, 12):
        top, left = rng.integers(0, 34, 2)
        truth[top : top + 6, left : left + 6] = 3 * number
        down, right = rng.integers(-1, 3, 2)
        if number % 4:
            found[max(0, top + down) : top + 6, max(0, left + right) : left + 6] = 50 - number
    counts = count_instances(found, truth)
    assert counts.hits > 0
    assert (counts.panoptic, counts.aji) == pytest.approx(by_loops(found, truth))
    perfect = count_instances(truth * 7, truth)
    assert (perfect.panoptic, perfect.aji, perfect.aji_plus, perfect.detection) == (1, 1, 1, 1)


def test_images_add_up_and_pixels_without_judgement_count_nowhere():
    first = count_instances(row("110000"), row("110220"))
    second = count_instances(row("000011"), row("000011"))
    both = sum((first, second), InstanceCounts())
    assert (both.hits, both.misses, both.false_alarms, both.iou) == (2, 1, 0, 2.0)
    assert both.panoptic == pytest.approx(2 / 2.5) and both.aji == pytest.approx(4 / 6)
    judged = np.array([[True, True, True, False, False, True]])
    assert count_instances(row("110000"), row("110220"), judged=judged).panoptic == 1


def test_without_nuclei_there_is_no_value():
    nothing = count_instances(row("000"), row("000"))
    assert nothing == InstanceCounts()
    assert all(math.isnan(value) for value in (nothing.panoptic, nothing.aji, nothing.segmentation, nothing.detection))
    missed, invented = count_instances(row("000"), row("011")), count_instances(row("011"), row("000"))
    for counts in (missed, invented):
        assert (counts.panoptic, counts.aji, counts.aji_plus) == (0, 0, 0)
    assert (missed.misses, invented.false_alarms) == (1, 1)


def test_components_by_class():
    classes = np.array([[1, 1, 0, 2], [0, 0, 1, 2], [255, 0, 0, 0], [2, 0, 0, 1]])
    found = components(classes)
    assert found.tolist() == [[1, 1, 0, 3], [0, 0, 1, 3], [0, 0, 0, 0], [4, 0, 0, 2]]
    assert components(classes, smallest=2).tolist() == [[1, 1, 0, 2], [0, 0, 1, 2], [0] * 4, [0] * 4]


@pytest.mark.parametrize(
    ("found", "truth", "judged", "words"),
    [(row("11"), row("110"), None, "differ in shape"),
     (row("11") * 1.0, row("11"), None, "no map of whole numbers: float64"),
     (row("11"), -row("11"), None, "below zero"),
     (row("11"), row("11"), np.array([True]), r"judged pixels do not fit the maps: bool \(1,\)")],
)  # fmt: skip
def test_errors(found, truth, judged, words):
    with pytest.raises(DataError, match=words):
        count_instances(found, truth, judged=judged)
