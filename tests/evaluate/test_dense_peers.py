"""Class maps and numbered nuclei beside torchmetrics and MONAI, on random maps with absent classes."""

import monai.metrics as peer
import numpy as np
import pytest
import torch
from torchmetrics.functional import classification, detection, segmentation

from percuss.core import dense
from percuss.evaluate.dense import confusion, scores
from percuss.evaluate.instances import count_instances

CLASSES = 5


def maps(seed, *, ignored=False):
    """Images that lack one class or several in the truth, in the decision, or in both (class 4 of the first two)."""
    draw = np.random.default_rng(seed)
    truth, wrong = (draw.integers(0, CLASSES, (6, 20, 28)) for _ in range(2))
    prediction = np.where(draw.random(truth.shape) < 0.6, truth, wrong)
    truth[:3][truth[:3] == 4] = 0
    prediction[:2][prediction[:2] == 4] = 1
    prediction[3][prediction[3] == 2] = 0
    truth[5] = 0
    if ignored:
        truth[draw.random(truth.shape) < 0.1] = dense.IGNORE
    return torch.from_numpy(prediction), torch.from_numpy(truth)


def tables(prediction, truth):
    return confusion(prediction.numpy(), truth.numpy(), classes=CLASSES)


def hot(values):
    return torch.nn.functional.one_hot(values, CLASSES).movedim(-1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_counts_and_scores_are_those_of_torchmetrics(seed):
    prediction, truth = maps(seed, ignored=True)
    found = tables(prediction, truth)
    given = {"num_classes": CLASSES, "ignore_index": dense.IGNORE}
    for count, decided, true in ((found.sum(0), prediction, truth), *zip(found, prediction, truth, strict=True)):
        ours = scores(count)
        matrix = classification.multiclass_confusion_matrix(decided, true, **given)
        assert np.array_equal(count, matrix.numpy())
        # torchmetrics says 0 of a class that is neither true nor decided; ours say NaN.
        assert np.array_equal(np.isnan(ours.dice), (matrix.sum(0) + matrix.sum(1) == 0).numpy())
        for value, ask in (
            (ours.dice, classification.multiclass_f1_score),
            (ours.iou, classification.multiclass_jaccard_index),
            (ours.accuracy, classification.multiclass_recall),
        ):
            theirs = ask(decided, true, average=None, **given)
            assert np.nan_to_num(value) == pytest.approx(theirs.numpy(), abs=1e-6)
        assert ours.pixel_accuracy == pytest.approx(
            float(classification.multiclass_accuracy(decided, true, average="micro", **given)), abs=1e-6
        )


@pytest.mark.parametrize("seed", range(4))
def test_scores_of_each_image_are_those_of_its_segmentation_metrics(seed):
    prediction, truth = maps(seed)
    ours = scores(tables(prediction, truth))
    given = {"num_classes": CLASSES, "input_format": "index"}
    there = ~np.isnan(ours.dice)
    assert not there[0, 4] and not there[1, 4] and there[2, 4] and ours.dice[2, 4] == 0
    theirs = segmentation.dice_score(prediction, truth, average="none", **given).numpy()
    assert np.array_equal(np.isnan(theirs), ~there)
    assert ours.dice == pytest.approx(theirs, nan_ok=True, abs=1e-6)
    theirs = segmentation.mean_iou(prediction, truth, per_class=True, **given).numpy()
    assert ours.iou[there] == pytest.approx(theirs[there], abs=1e-6)
    whole = scores(tables(prediction, truth).sum(0))
    theirs = segmentation.dice_score(prediction, truth, average="none", aggregation_level="global", **given)
    assert whole.dice == pytest.approx(theirs.numpy().reshape(-1), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_scores_of_each_image_are_those_of_monai_where_the_class_is_true(seed):
    prediction, truth = maps(seed)
    found = tables(prediction, truth)
    ours, true = scores(found), found.sum(2) > 0
    for value, ask in ((ours.dice, peer.compute_dice), (ours.iou, peer.compute_iou)):
        theirs = ask(hot(prediction), hot(truth)).numpy()
        # MONAI's are NaN wherever the truth lacks a class; ours are 0 there if the class was decided.
        assert np.array_equal(~np.isnan(theirs), true)
        assert value[true] == pytest.approx(theirs[true], abs=1e-6)
        assert set(value[~true & (found.sum(1) > 0)].tolist()) <= {0.0}
    each = peer.get_confusion_matrix(hot(prediction), hot(truth)).numpy()  # true and false positives, ... of each class
    hits = np.diagonal(found, axis1=1, axis2=2)
    assert np.array_equal(each[..., 0], hits)
    assert np.array_equal(each[..., 1], found.sum(1) - hits) and np.array_equal(each[..., 3], found.sum(2) - hits)
    recall = peer.compute_confusion_matrix_metric("recall", torch.from_numpy(each)).numpy()
    assert ours.accuracy[true] == pytest.approx(recall[true], abs=1e-6) and np.isnan(ours.accuracy[~true]).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_quality_that_decides_on_an_image_is_the_mean_dice_of_its_foreground(seed):
    prediction, truth = maps(seed)
    ours = dense.quality(prediction, truth, CLASSES)
    theirs = peer.compute_dice(hot(prediction), hot(truth), include_background=False).nanmean(1)
    some = ~theirs.isnan()
    assert some.tolist() == [True] * 5 + [False]
    assert ours[some].tolist() == pytest.approx(theirs[some].tolist(), abs=1e-6)
    assert float(ours[5]) == pytest.approx(float((prediction[5] == 0).float().mean()))


def nuclei(seed):
    """Numbered squares, and the same moved, lost, cut in two or merged."""
    draw = np.random.default_rng(seed)
    truth, found = (np.zeros((64, 64), dtype=np.int32) for _ in range(2))
    for number, (row, column) in enumerate(np.ndindex(5, 5), start=1):
        top, left, side = row * 12 + 2, column * 12 + 2, int(draw.integers(4, 9))
        truth[top : top + side, left : left + side] = 3 * number
        move = draw.integers(-2, 3, 2)
        if draw.random() < 0.85:
            found[top + move[0] : top + move[0] + side, left + move[1] : left + move[1] + side] = number
        if draw.random() < 0.2:
            found[top : top + side // 2 + 1, left : left + side] = 100 + number
    found[60:63, 60:63] = 999
    return found, truth


@pytest.mark.parametrize("seed", range(4))
def test_nuclei_are_counted_as_by_monai_and_torchmetrics(seed):
    found, truth = nuclei(seed)
    ours = count_instances(found, truth)
    decided, true = torch.from_numpy(found), torch.from_numpy(truth)
    theirs = peer.compute_panoptic_quality(decided, true, output_confusion_matrix=True).tolist()
    assert [ours.hits, ours.false_alarms, ours.misses, ours.iou] == pytest.approx(theirs, abs=1e-4)
    assert ours.hits > 3 and ours.misses > 0 and ours.false_alarms > 0
    for value, name in ((ours.panoptic, "pq"), (ours.segmentation, "sq"), (ours.detection, "rq")):
        assert value == pytest.approx(float(peer.compute_panoptic_quality(decided, true, metric_name=name)), abs=1e-5)
    # In torchmetrics nuclei are things of class 1, and the background is one stuff of class 0.
    pairs = [torch.stack([values > 0, values], dim=-1).long()[None] for values in (decided, true)]
    given = {"things": {1}, "stuffs": {0}, "return_per_class": True, "return_sq_and_rq": True}
    of_nuclei = detection.panoptic_quality(*pairs, **given)[0].tolist()
    assert [ours.panoptic, ours.segmentation, ours.detection] == pytest.approx(of_nuclei, abs=1e-6)


def test_images_join_and_empty_ones_have_no_value_unlike_monais():
    both = [nuclei(seed) for seed in (7, 8)]
    ours = count_instances(*both[0]) + count_instances(*both[1])
    sums = sum(peer.compute_panoptic_quality(*map(torch.from_numpy, p), output_confusion_matrix=True) for p in both)
    assert ours.panoptic == pytest.approx(float(sums[3] / (sums[0] + sums[1] / 2 + sums[2] / 2)), abs=1e-5)
    blank = np.zeros((8, 8), dtype=np.int32)
    assert np.isnan(count_instances(blank, blank).panoptic), "MONAI's small numerator makes it 0"
    missed = count_instances(blank, both[0][1][:8, :8])
    assert missed.panoptic == 0 and missed.misses > 0
