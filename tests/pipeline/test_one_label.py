"""One label of several, judged alone."""

import numpy as np
import pytest
import torch
from torch import nn

import percuss
from percuss.core.errors import DataError, ModelError
from percuss.core.model import Model, ModelInfo
from percuss.data.one_label import OneLabel
from percuss.models.one_label import one_label

NAMES = ("effusion", "nodule", "mass")


@pytest.fixture
def chests(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 12, 12), dtype=np.uint8)
    labels = (images.reshape(24, 3, -1).mean(2) > 127.5).astype(np.uint8)
    parts = {f"{split}_{kind}": value for split in ("train", "val", "test") for kind, value in
             (("images", images), ("labels", labels))}  # fmt: skip
    np.savez(tmp_path / "chest.npz", **parts)
    return percuss.load_data(f"medmnist:{tmp_path / 'chest.npz'}?names={'|'.join(NAMES)}", split="test")


@pytest.fixture
def several():
    net = nn.Sequential(nn.AdaptiveAvgPool2d((3, 1)), nn.Flatten(), nn.Linear(3, 3))
    with torch.no_grad():
        net[2].weight.copy_(50 * torch.eye(3))
        net[2].bias.fill_(-50 * 127.5 / 255)
    return Model(net, ModelInfo("bands", "multilabel", NAMES, 1))


def test_only_the_chosen_label_counts(chests, several, tmp_path):
    assert chests.task == "multilabel"
    options = {"attacks": "fgsm", "budgets": "linf=2/255", "checks": "off"}
    run = percuss.audit(data=chests, model=several, out=tmp_path / "one", label="nodule", **options)
    assert run.results.data.classes == ["no nodule", "nodule"] and run.results.clean.accuracy.value == 1
    whole = percuss.audit(data=chests, model=several, out=tmp_path / "all", **options)
    one, every = (next(p for p in r.results.curves if p.attack == "fgsm").success_rate.value for r in (run, whole))
    assert 0 < one < every
    single = OneLabel(chests, "nodule")
    images, targets = single.tensors()
    assert targets.tolist() == chests.tensors()[1][:, 1].long().tolist() == [e.target for e in single.entries]
    assert torch.equal(one_label(several, 1, "nodule")(images), several(images)[:, 1:2])


def test_what_has_no_such_label_is_named(chests, several, tmp_path):
    with pytest.raises(DataError, match="no such label: nodules. Allowed: nodule"):
        OneLabel(chests, "nodules")
    with pytest.raises(DataError, match="only one of several labels can be chosen"):
        OneLabel(OneLabel(chests, "mass"), "mass")
    with pytest.raises(ModelError, match="no such output: 3"):
        one_label(several, 3, "x")
    with pytest.raises(ModelError, match="only one of several"):
        one_label(one_label(several, 0, "effusion"), 0, "x")
