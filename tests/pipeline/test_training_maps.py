"""Segmenters trained and hardened from a data spec: scores, folds, resume, and what is refused."""

import csv
import json

import numpy as np
import pytest
import torch

from percuss.core import dense
from percuss.core.errors import DataError, ModelError, UsageError
from percuss.data.spec import load_data
from percuss.defend.settings import make_settings
from percuss.evaluate.dense import class_rows, confusion
from percuss.models.spec import load_model
from percuss.pipeline.hardening import DefencePlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.scoring import SCORES, map_scores
from percuss.pipeline.training import TrainPlan, train

PATTERNS = "synthetic:patterns?n=10&size=16"
NETWORK = "percuss:unet_avramidis"


def plan(data=PATTERNS, defence=None, *, settings=None, **options):
    given = {"epochs": 2, "batch_size": 4, "device": "cpu", "lr": 1e-3, "augment": "flips"} | (settings or {})
    if defence:
        own = {"check_steps": 2} | ({"steps": 2} if defence != "fast" else {})
        options["defence"] = DefencePlan(name=defence, budget="linf=2/255", settings=own)
    return TrainPlan(data=data, model=NETWORK, settings=make_settings(**given), **options)


@pytest.fixture(scope="module")
def hardened(tmp_path_factory):
    return train(plan(defence="segpgd"), out=tmp_path_factory.mktemp("maps") / "model")


def test_the_record_holds_dice_by_class_and_robust_dice(hardened):
    record = json.loads((hardened.path / "training.json").read_text())
    images = load_data(PATTERNS, split="test")
    batch, made = images.collect(images.ids), load_model(hardened.path)
    with torch.no_grad():
        found = made(batch.images).argmax(1)
    rows = class_rows(confusion(found.numpy(), batch.targets.numpy(), classes=5), images.classes)
    assert list(record["test"]["dice_of_class"]) == [row.name for row in rows] == list(images.classes)
    for row in rows:
        value = record["test"]["dice_of_class"][row.name]
        assert (value is None) == bool(np.isnan(row.dice)) and (value is None or value == pytest.approx(row.dice))
    known = [row.dice for row in rows[1:] if not np.isnan(row.dice)]
    assert record["test"]["dice"] == pytest.approx(np.mean(known))
    assert record["test"]["floor"] == pytest.approx(float((batch.targets == 0).double().mean()))
    assert record["test"]["pixel_accuracy"] == pytest.approx(float((found == batch.targets).double().mean()))
    assert record["test"]["quality"] == pytest.approx(float(dense.quality(found, batch.targets, 5).mean()))
    assert record["robust"]["test"]["robust_dice"] <= record["test"]["quality"] and record["outputs"] == 5
    assert record["before"].keys() == {"accuracy", "dice", *record["robust"]["val"]}
    best = record["history"][record["best_epoch"] - 1]
    assert (
        record["robust"]["val"]["robust_dice"]
        == best["robust_dice"]
        == max(row["robust_dice"] for row in record["history"])
    )
    with (hardened.path / "history.csv").open(newline="") as file:
        assert {"val_dice", "robust_dice", "one_step_dice"} <= set(next(csv.reader(file)))


def test_a_broken_off_hardening_ends_with_the_same_model(hardened, tmp_path):
    class Stop(Progress):
        def start(self, label, total):
            if label.startswith("epoch 2"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan(defence="segpgd"), out=tmp_path / "m", progress=Stop())
    again = train(plan(defence="segpgd"), out=tmp_path / "m")
    for name in ("model.json", "model.safetensors", "splits.csv"):
        assert (again.path / name).read_bytes() == (hardened.path / name).read_bytes()


def test_folds_of_segmenters(tmp_path):
    done = train(plan(folds=2, settings={"epochs": 1}), out=tmp_path / "m")
    with (tmp_path / "m" / "folds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["repeat"] for row in rows] == ["0", "0", "mean", "sd"]
    assert float(rows[2]["pixel_accuracy"]) == pytest.approx(np.mean([float(r["pixel_accuracy"]) for r in rows[:2]]))
    assert set(done.record["folds"]) == set(SCORES["segment"])


def test_an_absent_class_has_no_dice():
    tables = torch.zeros(2, 3, 3, dtype=torch.int64)
    tables[0, 0, 0], tables[0, 1, 1], tables[1, 0, 0] = 5, 3, 8
    found = map_scores(tables, ("background", "a", "b"))
    assert found["dice_of_class"] == {"background": 1.0, "a": 1.0, "b": None} and found["dice"] == 1.0
    assert (found["floor"], found["pixel_accuracy"], found["quality"]) == (13 / 16, 1.0, 1.0)
    tables[0, 1, 1] = 0
    assert map_scores(tables, ("background", "a", "b"))["dice"] is None


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {"data": "synthetic:patterns?n=10&size=20"},
            ModelError,
            r"20 x 20 pixels\. Allowed: sides that are multiples",
        ),
        ({"data": "synthetic:patterns?n=10&size=16&tries=0"}, DataError, "hold the background alone: 6 images"),
        ({"settings": {"balance": 20}}, UsageError, "balance needs images of one class each"),
        (
            {"data": "synthetic:tissue?n=12&size=32&mpp=1.5", "defence": "segpgd"},
            ModelError,
            "gives a decision for every",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(tmp_path, given, error, words):
    with pytest.raises(error, match=words):
        train(plan(**given), out=tmp_path / "m")
    assert not (tmp_path / "m" / "model.json").exists()


def test_segpgd_on_whole_images_is_refused(tmp_path):
    other = plan("synthetic:tissue?n=12&size=32&mpp=1.5", "segpgd").model_copy(update={"model": "timm:test_resnet"})
    with pytest.raises(UsageError, match=r"segpgd is not for this task: classify"):
        train(other, out=tmp_path / "m")
