"""Numbers of class maps from a table made of random maps, against the modules that count one map at a time."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from percuss.core import dense as core
from percuss.core.errors import RunError
from percuss.evaluate.dense import class_rows, qualities, scores
from percuss.evaluate.dense_summary import dense_summary
from percuss.evaluate.instances import InstanceCounts, count_instances

NAMES = ("background", "tumour", "stroma", "never")


def maps(images=6, *, flip=0.3, seed=0):
    """Truths without class 3, one of them background only and one not judged, and noisy decisions."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=(images, 8, 8), p=[0.6, 0.3, 0.1]).astype(np.uint8)
    truth[1] = 0
    truth[2, :4] = 255
    truth[3] = 255
    judged = np.where(truth == 255, 0, truth)
    decided = np.where(rng.random(truth.shape) < flip, rng.integers(0, 3, truth.shape), judged)
    return truth, decided.astype(np.uint8)


def rows(decided, truth, *, attack="clean", norm="", budget="", eps=0.0, state="stored", groups=False):
    tables = core.confusion(torch.from_numpy(decided), torch.from_numpy(truth), len(NAMES)).numpy()
    found = []
    for index, table in enumerate(tables):
        counts = count_instances(decided[index], np.where(truth[index] == 255, 0, truth[index]))
        found.append(
            {
                "id": f"i{index}",
                "group": f"p{index // 2}" if groups else "",
                "attack": attack,
                "norm": norm,
                "budget": budget,
                "eps": eps,
                "state": state,
                "loss": 0.5 + index,
                "linf": 0.01 * index,
                "pixels": table.ravel().tolist(),
            }
            | vars(counts)
        )
    return pd.DataFrame(found)


def run(seed=0, groups=False):
    """Clean rows, two attacks at two sizes and noise, in both states."""
    parts = [rows(*reversed(maps(seed=seed)), groups=groups)]
    for place, (attack, budget, eps) in enumerate(
        [("pgd", "1/255", 1 / 255), ("pgd", "2/255", 2 / 255), ("apgd", "2/255", 2 / 255), ("noise", "2/255", 2 / 255)]
    ):
        for state in ("float", "stored"):
            rng = np.random.default_rng(100 * seed + 10 * place + (state == "stored"))
            truth = maps(seed=seed)[0]
            decided = np.where(truth == 255, 0, truth)
            # Noise is the worst of all here, so that its exclusion shows; the small size is worse than pgd's larger.
            share = {"noise": 1.0}.get(attack, 0.6 if budget == "1/255" else 0.4)
            decided = np.where(rng.random(truth.shape) < share, rng.integers(0, 3, truth.shape), decided)
            parts.append(
                rows(
                    decided.astype(np.uint8),
                    truth,
                    attack=attack,
                    norm="linf",
                    budget=budget,
                    eps=eps,
                    state=state,
                    groups=groups,
                )
            )
    return pd.concat(parts, ignore_index=True)


def counted(table):
    return np.asarray(table["pixels"].tolist()).reshape(-1, len(NAMES), len(NAMES))


def close(interval, value):
    assert interval.value == pytest.approx(value, abs=1e-12)


def test_quality_of_a_table_is_that_of_the_maps():
    truth, decided = maps(seed=3)
    tensors = torch.from_numpy(decided), torch.from_numpy(truth)
    tables = core.confusion(*tensors, len(NAMES)).numpy()
    np.testing.assert_allclose(qualities(tables), core.quality(*tensors, len(NAMES)).numpy(), atol=1e-12)
    assert qualities(tables)[3] == 1  # nothing is judged in it


def test_clean_point_agrees_with_the_scores_of_each_image():
    table = run()
    found = dense_summary(table, classes=NAMES, seed=1)
    tables = counted(table[table["attack"] == "clean"])
    each, point = scores(tables), found.clean
    close(point.dice, qualities(tables).mean())
    close(point.iou, np.nanmean(each.mean("iou")))
    close(point.accuracy, np.nanmean(each.mean("accuracy")))
    close(point.dice_with_background, np.nanmean(each.mean("dice", background=True)))
    close(point.iou_with_background, np.nanmean(each.mean("iou", background=True)))
    close(point.pixel_accuracy, np.nanmean(each.pixel_accuracy))
    close(point.floor, np.nanmean(each.floor))
    close(point.loss, 3.0)
    assert point.pixel_accuracy.n == 5  # one image has no judged pixel
    assert (point.attack, point.eps, point.stored, found.background, found.bar) == (
        "clean", 0.0, True, "background", 0.5,
    )  # fmt: skip
    assert point.dice.low < point.dice.value < point.dice.high
    for row, record in zip(class_rows(tables, NAMES), point.classes, strict=True):
        if row.name != "never":
            close(record.dice, row.dice_image)
            assert record.dice_pixels == row.dice
        assert (record.pixels, record.absent, record.false_alarms) == (row.pixels, row.absent, row.false_alarms)


def test_a_class_that_no_image_holds_has_no_value():
    never = dense_summary(run(), classes=NAMES, seed=0).clean.classes[3]
    assert (never.dice.value, never.dice.n, never.accuracy.value, never.removed.value) == (None, 0, None, None)
    assert (never.dice_pixels, never.absent, never.false_alarms, never.pixels) == (None, 6, 0, 0)
    assert never.hallucinated.value == 0  # it could have been, and was not


def test_removed_and_hallucinated_pixels_by_hand():
    truth = np.array([[[0, 0, 1, 1]], [[0, 0, 0, 2]]], dtype=np.uint8)
    decided = np.array([[[0, 1, 0, 1]], [[2, 0, 0, 2]]], dtype=np.uint8)
    classes = dense_summary(rows(decided, truth), classes=NAMES, seed=0).clean.classes
    close(classes[1].removed, 0.5)
    assert classes[1].removed.n == 1
    close(classes[1].hallucinated, (1 / 2 + 0) / 2)
    close(classes[2].removed, 0.0)
    close(classes[2].hallucinated, (0 + 1 / 3) / 2)
    assert classes[0].removed.value is None
    assert classes[0].hallucinated.value is None


def test_worst_is_the_worst_mask_of_each_image_without_noise_and_with_smaller_sizes():
    table = run()
    found = dense_summary(table, classes=NAMES, seed=0)
    for state in ("float", "stored"):
        part = table[(table["state"] == state) & table["attack"].isin(["pgd", "apgd"])]
        part = part.assign(quality=qualities(counted(part)))
        for budget, eps in (("1/255", 1 / 255), ("2/255", 2 / 255)):
            lowest = part[part["eps"] <= eps].groupby("id")["quality"].min()
            (point,) = [
                p for p in found.points if (p.attack, p.budget, p.stored) == ("worst", budget, state == "stored")
            ]
            close(point.dice, lowest.mean())
            assert point.eps == eps
    at = {p.attack: p.dice.value for p in found.points if p.budget == "2/255" and not p.stored}
    assert at["noise"] < at["worst"] < min(at["pgd"], at["apgd"])


def test_nuclei_are_pooled_over_images():
    table = run(groups=True)
    point = dense_summary(table, classes=NAMES, seed=0).clean
    clean = table[table["attack"] == "clean"]
    names = list(vars(InstanceCounts()))
    pooled = sum((InstanceCounts(*row) for row in clean[names].itertuples(index=False)), InstanceCounts())
    for name in ("panoptic", "detection", "segmentation", "aji", "aji_plus"):
        close(getattr(point.nuclei, name), getattr(pooled, name))
    assert "patient-cluster" in point.nuclei.panoptic.method
    assert dense_summary(table.drop(columns=names), classes=NAMES, seed=0).clean.nuclei is None


def test_intervals_hold_for_equal_images_and_one_patient():
    truth, _ = maps()
    perfect = np.where(truth == 255, 0, truth)
    point = dense_summary(rows(perfect, truth), classes=NAMES, seed=0).clean
    assert point.dice.value == 1
    assert point.dice.low < 1 == point.dice.high  # six images alike are no certainty
    one = rows(perfect, truth).assign(group="p0")
    assert dense_summary(one, classes=NAMES, seed=0).clean.dice.low is None
    first = dense_summary(run(), classes=NAMES, seed=5)
    assert first == dense_summary(run(), classes=NAMES, seed=5)
    assert first != dense_summary(run(), classes=NAMES, seed=6)


def test_bad_tables_are_named():
    table = run()
    with pytest.raises(RunError, match="rows are missing"):
        dense_summary(table.drop(index=table.index[-1]), classes=NAMES, seed=0)
    with pytest.raises(RunError, match="two rows"):
        dense_summary(pd.concat([table, table.iloc[-1:]]), classes=NAMES, seed=0)
    with pytest.raises(RunError, match="no row of unattacked"):
        dense_summary(table[table["attack"] != "clean"], classes=NAMES, seed=0)
    with pytest.raises(RunError, match="16 counts"):
        dense_summary(table, classes=NAMES[:3], seed=0)


def test_no_limit_has_no_size():
    table = run()
    table.loc[table["attack"] == "apgd", ["norm", "budget", "eps"]] = ["none", "none", math.inf]
    found = dense_summary(table, classes=NAMES, seed=0)
    assert {p.eps for p in found.points if p.norm == "none"} == {None}
    assert {p.attack for p in found.points if p.norm == "none"} == {"apgd", "worst"}
