"""Class maps: by hand, beside scikit-learn, absent classes, joined batches, errors."""

import numpy as np
import pytest
from sklearn import metrics

from percuss.core.errors import DataError
from percuss.evaluate.dense import class_rows, confusion, scores

RNG = np.random.default_rng(0)


def maps(count=6, classes=5, side=24):
    truth = RNG.integers(0, classes, (count, side, side)).astype(np.uint8)
    wrong = RNG.integers(0, classes, truth.shape)
    prediction = np.where(RNG.random(truth.shape) < 0.6, truth, wrong)
    truth[RNG.random(truth.shape) < 0.1] = 255
    return prediction, truth


def test_scores_are_those_of_scikit_learn():
    prediction, truth = maps()
    tables = confusion(prediction, truth, classes=5)
    for found, decided_map, true_map in (
        (scores(tables.sum(0)), prediction, truth),
        *((scores(table), *pair) for table, *pair in zip(tables, prediction, truth, strict=True)),
    ):
        true, decided = true_map[true_map != 255], decided_map[true_map != 255]
        given = {"average": None, "labels": range(5), "zero_division": np.nan}
        assert found.dice == pytest.approx(metrics.f1_score(true, decided, **given), nan_ok=True)
        given["zero_division"] = 0
        assert found.iou == pytest.approx(metrics.jaccard_score(true, decided, **given))
        assert found.accuracy == pytest.approx(metrics.recall_score(true, decided, **given))
        assert found.pixel_accuracy == pytest.approx(metrics.accuracy_score(true, decided))
        assert found.floor == pytest.approx((true == 0).mean())


def test_scores_by_hand_with_absent_classes():
    truth = np.array([[[0, 0, 1], [0, 255, 1]]])
    prediction = np.array([[[0, 2, 1], [0, 1, 0]]])
    tables = confusion(prediction, truth, classes=4)
    assert tables[0].tolist() == [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    found = scores(tables)
    assert found.dice[0] == pytest.approx([2 * 2 / 6, 2 / 3, 0, np.nan], nan_ok=True)
    assert found.iou[0] == pytest.approx([2 / 4, 1 / 2, 0, np.nan], nan_ok=True)
    assert found.accuracy[0] == pytest.approx([2 / 3, 1 / 2, np.nan, np.nan], nan_ok=True)
    assert (found.pixel_accuracy[0], found.floor[0], found.absent[0]) == (3 / 5, 3 / 5, 2)
    assert found.mean("dice")[0] == pytest.approx((2 / 3 + 0) / 2)
    assert found.mean("dice", background=True)[0] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert found.mean("accuracy")[0] == pytest.approx(1 / 2)


def test_an_image_without_nuclei_or_judgement():
    blank = np.zeros((1, 2, 2), np.uint8)
    found = scores(confusion(blank, blank, classes=3))
    assert found.dice[0, 0] == 1 and np.isnan(found.mean("dice")[0])
    assert (found.pixel_accuracy[0], found.floor[0], found.absent[0]) == (1, 1, 2)
    nothing = scores(confusion(blank, blank + 255, classes=3))
    assert np.isnan(nothing.pixel_accuracy[0]) and np.isnan(nothing.dice).all() and nothing.absent[0] == 3


def test_batches_join_to_the_whole():
    prediction, truth = maps(7)
    whole = confusion(prediction, truth, classes=5)
    parts = [confusion(prediction[part], truth[part], classes=5) for part in (slice(0, 3), slice(3, 7))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.sum() == (truth != 255).sum()


def test_rows_of_classes_count_absent_images_and_false_alarms():
    truth = np.array([[[0, 1]], [[0, 0]], [[0, 0]], [[1, 1]]])
    prediction = np.array([[[0, 1]], [[0, 1]], [[0, 0]], [[0, 0]]])
    background, nucleus = class_rows(confusion(prediction, truth, classes=2), ("background", "nucleus"))
    assert (nucleus.name, nucleus.pixels, nucleus.absent, nucleus.false_alarms) == ("nucleus", 3, 2, 1)
    assert nucleus.dice == pytest.approx(2 / 5) and nucleus.iou == pytest.approx(1 / 4)
    assert nucleus.dice_image == pytest.approx((1 + 0 + 0) / 3), "the image with neither has no value"
    assert nucleus.accuracy == pytest.approx(1 / 3) and nucleus.accuracy_image == pytest.approx(1 / 2)
    assert (background.absent, background.false_alarms) == (1, 1)
    with pytest.raises(DataError, match="names do not fit"):
        class_rows(confusion(prediction, truth, classes=2), ("nucleus",))


@pytest.mark.parametrize(
    ("prediction", "truth", "classes", "words"),
    [(np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), 2, r"differ in shape: \(1, 2, 2\) and \(1, 2, 3\)"),
     (np.full((1, 2, 2), 2), np.zeros((1, 2, 2), int), 2, "prediction holds an unknown class: 2. Allowed: 0 to 1"),
     (np.zeros((1, 2, 2), int), np.full((1, 2, 2), 254), 2, "truth holds an unknown class: 254.*255 for no judgement"),
     (np.full((1, 2, 2), 255), np.zeros((1, 2, 2), int), 2, "prediction holds an unknown class: 255"),
     (np.full((1, 2, 2), -1), np.zeros((1, 2, 2), int), 2, "unknown class: -1"),
     (np.zeros((1, 2, 2)), np.zeros((1, 2, 2), int), 2, "prediction is no map of whole numbers: float64"),
     (np.zeros((1, 3, 2, 2), int), np.zeros((1, 2, 2), int), 3, "not logits"),
     (np.zeros((1, 2, 2), int), np.zeros((1, 2, 2), int), 1, "no such number of classes: 1")],
)  # fmt: skip
def test_errors(prediction, truth, classes, words):
    with pytest.raises(DataError, match=words):
        confusion(prediction, truth, classes=classes)
