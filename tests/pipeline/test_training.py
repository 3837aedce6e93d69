"""Training from a data spec: splits, scores, folds, what is written."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from percuss.core.errors import DataError, RunError, UsageError
from percuss.core.images import BadImage
from percuss.data.spec import load_data
from percuss.defend.settings import make_settings
from percuss.models.spec import load_model
from percuss.pipeline.scoring import score
from percuss.pipeline.training import TrainPlan, train
from percuss.pipeline.trainsets import divide, fold_divisions

TISSUE = "synthetic:tissue?n=40&size=32&patients=20&mpp=1.5"
NETWORK = "timm:test_resnet"


def plan(data, **options):
    small = make_settings(epochs=options.pop("epochs", 2), batch_size=8, device="cpu")
    return TrainPlan(**{"data": data, "model": NETWORK, "settings": small} | options)


@pytest.fixture
def folder(tmp_path):
    """Forty grey images of two classes without splits; patients are not known."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 90), ("light", 160)):
        home = tmp_path / "images" / name
        home.mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(level - 30, level + 30, (32, 32), dtype=np.uint8)).save(home / f"{i}.png")
    return tmp_path / "images"


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(plan(TISSUE), out=tmp_path_factory.mktemp("train") / "model", command="percuss train ...")


def test_writes_a_model_that_loads_with_the_same_scores(trained):
    model, images = load_model(trained.path), load_data(TISSUE, split="test")
    batch = images.collect(images.ids)
    with torch.no_grad():
        found = score(model(batch.images), batch.targets, "classify")
    assert found == pytest.approx(trained.record["test"])
    assert model.info.weights == "trained" and model.classes == ("normal", "tumour")


def test_records_what_was_done(trained):
    record = json.loads((trained.path / "training.json").read_text())
    assert record == json.loads(json.dumps(trained.record))
    assert record["n"] == {"train": 24, "val": 8, "test": 8} and record["bad"] == []
    assert record["splits"] == "as declared by the set" and record["command"] == "percuss train ..."
    assert [row["epoch"] for row in rows(trained.path / "history.csv")] == ["1", "2"]
    used = {row["id"]: row["split"] for row in rows(trained.path / "splits.csv")}
    assert used == {entry.id: entry.split for entry in load_data(TISSUE).entries}


def test_the_test_split_decides_nothing(trained, tmp_path):
    from percuss.pipeline import training

    whole = training.divide(TISSUE, 0)
    assert not set(whole.test) & {*whole.train, *whole.val}
    assert trained.record["best_epoch"] == 1 + int(np.argmin([row["val_loss"] for row in trained.record["history"]]))


def test_splits_are_drawn_where_there_are_none_and_found_again(folder, tmp_path):
    (folder / "dark" / "3.png").write_bytes(b"no image")
    said = train(plan(f"folder:{folder}", grey_inside=True, epochs=1), out=tmp_path / "out")
    assert said.audit_data == f"folder:{folder}?split=0.7,0.15,0.15&seed=0"
    assert set(load_data(said.audit_data, split="test").ids) == {
        row["id"] for row in rows(tmp_path / "out" / "splits.csv") if row["split"] == "test"
    }
    assert sum(said.record["n"].values()) == 39
    (bad,) = said.record["bad"]
    assert BadImage(**bad).id == "dark/3.png" and "were drawn" in said.record["splits"]


def test_validation_is_drawn_from_train_groups_whole(tmp_path):
    lines = [f"{i}.png,{i % 2},{'test' if i < 8 else 'train'},P{i // 4}" for i in range(48)]
    for i in range(48):
        Image.fromarray(np.full((16, 16), 100 + i, dtype=np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split,group", *lines]) + "\n")
    whole = divide(f"csv:{tmp_path / 't.csv'}", 0)
    home = {entry.id: entry.group for entry in whole.images.entries}
    kinds = [{home[name] for name in ids} for ids in (whole.train, whole.val, whole.test)]
    assert len(whole.test) == 8 and 4 <= len(whole.val) <= 12 and "val was drawn" in whole.drawn
    assert not (kinds[0] & kinds[1] or kinds[1] & kinds[2] or kinds[0] & kinds[2])


def test_folds_give_mean_and_deviation_and_never_touch_the_test_split(tmp_path):
    made = plan(TISSUE, folds=2, repeats=2, epochs=1)
    done = train(made, out=tmp_path / "out")
    found = rows(tmp_path / "out" / "folds.csv")
    assert [row["repeat"] for row in found] == ["0", "0", "1", "1", "mean", "sd"]
    values = [float(row["accuracy"]) for row in found[:4]]
    assert float(found[4]["accuracy"]) == pytest.approx(np.mean(values))
    assert float(found[5]["accuracy"]) == pytest.approx(np.std(values, ddof=1))
    assert done.record["folds"]["accuracy"]["mean"] == pytest.approx(np.mean(values))
    whole = divide(TISSUE, 0)
    groups = {entry.id: entry.group for entry in whole.images.entries}
    left = []
    for fold, part in fold_divisions(whole, 2, 2, seed=0):
        uses = [{groups[name] for name in ids} for ids in (part.train, part.val, part.test)]
        assert not (uses[0] & uses[1] or uses[1] & uses[2] or uses[0] & uses[2])
        left += part.test if fold.repeat == 0 else ()
    assert sorted(left) == sorted([*whole.train, *whole.val])


def test_a_broken_off_training_ends_with_the_same_model(trained, tmp_path):
    from percuss.pipeline.progress import Progress

    class Stop(Progress):
        def start(self, label, total):
            if label.startswith("epoch 2"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan(TISSUE), out=tmp_path / "m", progress=Stop())
    assert not (tmp_path / "m" / "model.json").exists()
    again = train(plan(TISSUE), out=tmp_path / "m")
    for name in ("model.json", "model.safetensors", "splits.csv"):
        assert (again.path / name).read_bytes() == (trained.path / name).read_bytes()


def test_scores_are_those_of_scikit_learn():
    made = torch.Generator().manual_seed(0)
    targets, logits = torch.arange(60) % 3, torch.randn(60, 3, generator=made)
    found = score(logits, targets, "classify")
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(targets, logits.argmax(1)))
    assert found["auc"] == pytest.approx(roc_auc_score(targets, logits.softmax(1), multi_class="ovr"))
    single = score(logits[:, :1], targets % 2, "classify")
    assert single["auc"] == pytest.approx(roc_auc_score(targets % 2, logits[:, 0]))
    labels = (torch.rand(60, 3, generator=made) < 0.5).float()
    many = score(logits, labels, "multilabel")
    assert many["accuracy"] == pytest.approx(float(((logits > 0) == labels.bool()).all(1).float().mean()))
    assert score(logits, targets * 0, "classify") == {
        "accuracy": pytest.approx(float((logits.argmax(1) == 0).float().mean())),
        "balanced_accuracy": None,
        "auc": None,
    }


def test_what_cannot_be_trained_is_said(folder, tmp_path):
    with pytest.raises(UsageError, match="repeats need folds: 3"):
        train(plan(TISSUE, repeats=3), out=tmp_path / "out")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="the folder holds something else"):
        train(plan(TISSUE), out=other)
    with pytest.raises(RunError, match="the output is a file"):
        train(plan(TISSUE), out=other / "thesis.txt")
    for name in ("train", "test"):
        for label in ("a", "b"):
            home = tmp_path / "one" / name / label
            home.mkdir(parents=True)
            for i in range(8 if label == "a" or name == "test" else 0):
                Image.new("L", (16, 16), 9 * i).save(home / f"{i}.png")
    with pytest.raises(DataError, match="all training images are of one class: a"):
        train(plan(f"folder:{tmp_path / 'one'}"), out=tmp_path / "out")
