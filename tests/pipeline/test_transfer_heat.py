"""Transfer between detectors of heat maps: AUC-PR that a library counts, drops, what fits no source, and the page."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score
from spots import CELL, CLASSES, Spots, averager
from torch import nn

from percuss.attacks.engine import run_attack
from percuss.attacks.tensors import attack
from percuss.core.budget import parse_budget
from percuss.core.errors import DataError, RunError, UsageError
from percuss.core.model import Model, ModelInfo
from percuss.pipeline.transfer import read_transfer, transfer

SMALL = {"budgets": ["l2=0.5,2"], "split": "all", "steps": 4}


def named(network, name):
    return Model(network, ModelInfo(name, "heatmap", CLASSES, 3, weights="given", cell=CELL))


def pooler():
    """A 1 x 1 convolution and a mean over each cell, which looks at green most."""
    net = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AvgPool2d(CELL))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([-10.0, -40.0, -5.0]).view(1, 3, 1, 1))
        net[0].bias.fill_(55 * 0.65)
    return named(net, "pooler")


class Coded(nn.Module):
    """A detector whose code is the darkness of the image, value by value."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 1, CELL, stride=CELL)
        with torch.no_grad():
            self.head.weight.fill_(55 / self.head.weight.numel())
            self.head.bias.fill_(-55 * 0.35)

    def code(self, images):
        return 1 - images

    def judge(self, code):
        return self.head(code)

    def rebuild(self, code, like):
        return 1 - code

    def forward(self, images):
        return self.judge(self.code(images))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return transfer([averager(), pooler()], data=Spots(), out=tmp_path_factory.mktemp("heat") / "run", **SMALL)


def cell(done, source, target, budget="l2=2", attack="pgd"):
    (found,) = [
        c
        for c in done.cells
        if (c.source, c.target, c.budget) == (source, target, budget) and (c.attack == attack or source == "noise")
    ]
    return found


def area(logits, truth):
    scores = (logits[:, 1] - logits[:, 0]).half().double().numpy()
    kept = truth.numpy() != 255
    return average_precision_score(truth.numpy()[kept], scores[kept])


def test_cells_are_what_a_library_counts_on_images_made_by_hand(done):
    batch, one, two = Spots().collect(Spots().ids), averager(), pooler()
    images, truth = batch.images, batch.targets
    settings = {"steps": 4, "early_stop": False}
    made = run_attack("pgd", one, batch, [parse_budget("l2=2")], settings=settings).images["l2=2"]
    with torch.no_grad():
        clean, after = area(two(images), truth), area(two(made), truth)
    found = cell(done, "averager", "pooler")
    assert found.auc_pr.value == pytest.approx(after) and found.drop.value == pytest.approx(clean - after)
    assert found.auc_pr.low <= after <= found.auc_pr.high and found.auc_pr.method.startswith("bootstrap over 4 slides")
    assert found.drop.low <= found.drop.value <= found.drop.high and found.auc_pr_stored.value is not None
    assert done.heat.clean["pooler"].value == pytest.approx(clean)
    judged = truth[truth != 255]
    assert done.heat.null == pytest.approx(float((judged == 1).double().mean())) and done.heat.slides == 4
    assert done.heat.not_exhaustive == ["slide1"]


def test_cells_in_python_are_attacked_too():
    images, truth = Spots().tensors()
    made = attack("pgd", averager(), images, truth, "l2=2", steps=4)
    with torch.no_grad():
        assert area(averager()(made), truth) < area(averager()(images), truth) - 0.3
    with pytest.raises(DataError, match=r"class maps \[8, 6, 6\]"):
        attack("pgd", averager(), images, truth.repeat_interleave(4, 1).repeat_interleave(4, 2), "l2=2")


def test_noise_is_weaker_and_sizes_hurt_more(done):
    for target in ("averager", "pooler"):
        assert cell(done, "noise", target).auc_pr.value > cell(done, target, target).auc_pr.value
        assert cell(done, target, target).auc_pr.value < cell(done, target, target, "l2=0.5").auc_pr.value


def test_files_and_page(done):
    record = json.loads((done.path / "results.json").read_text())
    assert record == done.record and set(record["heat"]["clean"]) == {"averager", "pooler"}
    again = read_transfer(done.path)
    assert again.cells == done.cells and again.heat == done.heat
    page = (done.path / "transfer.html").read_text()
    assert "AUC-PR of the judged model" in page and "nothing (clean)" in page and "4 slides" in page
    assert "not-exhaustive" in page
    table = pd.read_csv(done.path / "per_image.csv")
    assert "scores" not in table and len(table) == 8 * 2 * (4 + 2)
    kept = pd.read_parquet(done.path / "rows.parquet")
    assert {len(item) for item in kept["scores"]} == {len(item) for item in kept["scores_stored"]} == {36 * 2}
    matrix = pd.read_csv(done.path / "matrix.csv")
    assert {"auc_pr_value", "drop_low"} <= set(matrix.columns)
    sized = done.tables[-1]
    assert sized.head[3:] == ("clean", "l2 0.5", "l2 2") and len(sized.body) == 2 * 3
    assert sized.text().count("noise") == 2


def test_batch_size_does_not_matter_and_a_killed_run_goes_on(done, tmp_path):
    again = transfer([averager(), pooler()], data=Spots(), out=tmp_path / "run", batch_size=3, **SMALL)
    assert again.cells == done.cells
    same = transfer([averager(), pooler()], data=Spots(), out=tmp_path / "run", batch_size=3, **SMALL)
    assert same.cells == done.cells and same.heat == done.heat
    with pytest.raises(RunError, match="another run"):
        transfer([averager(), pooler()], data=Spots(), out=tmp_path / "run", **{**SMALL, "seed": 5})


def test_an_attack_on_a_code_is_left_out_where_there_is_none(tmp_path):
    models = [named(Coded(), "coded"), pooler()]
    found = transfer(models, data=Spots(), out=tmp_path / "run", attacks=["pgd", "sparse_code"], **SMALL)
    made = {(c.attack, c.source, c.target) for c in found.cells}
    assert {("sparse_code", "coded", "coded"), ("sparse_code", "coded", "pooler"), ("pgd", "pooler", "coded")} <= made
    assert not any(attack == "sparse_code" and source == "pooler" for attack, source, _ in made)
    (told,) = [f for f in found.findings if f.id == "attack-does-not-fit"]
    assert told.severity == "info" and told.evidence == {"attack": "sparse_code", "models": ["pooler"]}
    (matrix,) = [t for t in found.tables if t.caption.startswith("sparse_code within l2=2")]
    assert [row[0] for row in matrix.body] == ["nothing (clean)", "coded", "noise"]
    with pytest.raises(UsageError, match="none of these models"):
        transfer([averager(), pooler()], data=Spots(), out=tmp_path / "none", attacks="sparse_code", **SMALL)


def test_gradients_that_mislead_are_found(tmp_path):
    class Masked(nn.Module):
        """The same scores, but a gradient that points the other way."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, images):
            logits = self.inner(images)
            return 2 * logits.detach() - logits

    pair = [averager(), named(Masked(averager().network), "masked")]
    found = transfer(pair, data=Spots(), out=tmp_path / "run", **{**SMALL, "budgets": ["l2=1"]})
    told = [f for f in found.findings if f.id == "transfer-beats-white-box"]
    assert [(f.evidence["source"], f.evidence["target"], f.severity) for f in told] == [
        ("averager", "masked", "severe")
    ]
    assert not np.isnan(cell(found, "averager", "masked", "l2=1").drop.low)
