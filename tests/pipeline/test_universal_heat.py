"""A universal change for heat maps: AUC-PR is that of the change, counted anew, and chooses and judges it."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score
from spots import CLASSES, Spots, averager
from torch import nn

from percuss.core.images import Entry
from percuss.core.model import Model, ModelInfo
from percuss.data.splits import choose
from percuss.evaluate.universal import ALL
from percuss.pipeline.universal import read_universal, universal

BUDGET = "l2=2"


class Halves(Spots):
    """The first tiles train, the others test."""

    def __init__(self, count=16, entries=None):
        made = [Entry(f"tile{i}", 0, "train" if i < 8 else "test", f"slide{i // 2}") for i in range(count)]
        super().__init__(entries=made if entries is None else entries)

    def subset(self, split=None, ids=None):
        return Halves(entries=choose(self.entries, split, ids))


class Placed(nn.Module):
    """The averager, which also believes a chequered pattern, which no tissue has: what one change can use."""

    def __init__(self):
        super().__init__()
        self.inner = averager().network
        place = torch.arange(24)
        self.register_buffer("signs", ((place[:, None] + place) % 2 * 2.0 - 1).view(1, 1, 24, 24))

    def forward(self, images):
        said = nn.functional.avg_pool2d(images.mean(1, keepdim=True) * self.signs, 4)
        return self.inner(images) + 120 * said


def placed():
    return Model(Placed(), ModelInfo("placed", "heatmap", CLASSES, 3, weights="given", cell=4))


def area(model, images, truth):
    with torch.no_grad():
        logits = model(images)
    scores = (logits[:, 1] - logits[:, 0]).half().double()
    kept = truth != 255
    return average_precision_score(truth[kept] == 1, scores[kept])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("universal") / "run"
    return universal(placed(), data=Halves(), budget=BUDGET, out=out, epochs=4, group=4, judges=[averager()])


def whole(tallies, split):
    return next(item for item in tallies if (item.split, item.name) == (split, ALL))


def test_the_area_is_that_of_the_change_counted_anew(made):
    for split in ("train", "test"):
        images, truth = Halves().subset(split=split).tensors()
        item = whole(made.tallies, split)
        assert item.auc_pr.value == pytest.approx(area(placed(), images, truth))
        assert item.auc_pr_after.value == pytest.approx(area(placed(), (images + made.change).clamp(0, 1), truth))
        stored = ((images + made.change).clamp(0, 1) * 255).round() / 255
        assert item.auc_pr_stored.value == pytest.approx(area(placed(), stored, truth), abs=0.02)
        assert item.null == pytest.approx(float((truth == 1).double().sum() / (truth != 255).sum()))
        assert item.auc_pr_lost.value == pytest.approx(item.auc_pr_noise.value - item.auc_pr_after.value)


def test_it_harms_unseen_slides_where_noise_does_not(made):
    item = whole(made.tallies, "test")
    assert item.auc_pr_after.value < 0.7 * item.auc_pr.value < item.auc_pr_noise.value
    assert item.auc_pr_lost.low > 0 and "universal-not-above-noise" not in {found.id for found in made.findings}


def test_another_detector_judges_it_too(made):
    item = whole(made.transfer["averager"], "test")
    images, truth = Halves().subset(split="test").tensors()
    assert item.auc_pr_after.value == pytest.approx(area(averager(), (images + made.change).clamp(0, 1), truth))


def test_the_epoch_of_the_highest_loss_is_kept(made):
    history = pd.DataFrame(made.record["history"])
    assert history["kept"].tolist() == [
        lead > max([0.0, *history["lead"][:number]]) for number, lead in enumerate(history["lead"])
    ]


def test_what_is_written(made):
    record = json.loads((made.path / "results.json").read_text())
    assert record["tallies"][0]["auc_pr"]["value"] is not None
    assert "auc_pr" not in record["tallies"][1]  # of a class there is none
    again = read_universal(made.path)
    assert again.tallies == made.tallies
    table = pd.read_csv(made.path / "per_image.csv")
    assert not {"scores", "truth", "shape", "scores_after"} & set(table) and "quality_after" in table
    page = (made.path / "universal.html").read_text()
    assert "AUC-PR of all judged cells together" in page and "noise less change" in page and "judged by" in page


def test_a_change_that_does_nothing_is_told(tmp_path):
    found = universal(averager(), data=Halves(), budget="l2=0.02", out=tmp_path / "run", epochs=1, group=8)
    told = next(item for item in found.findings if item.id == "universal-not-above-noise")
    assert "AUC-PR" in told.message and set(told.evidence) == {"auc_pr_change", "auc_pr_noise", "lost", "low"}


def test_changes_of_several_seeds_are_set_beside_each_other(tmp_path):
    found = universal(placed(), data=Halves(), budget=BUDGET, out=tmp_path / "run", epochs=1, group=4, seeds=2)
    spread = next(item for item in found.record["spread"] if item["auc_pr_after"] is not None)
    first = whole(found.tallies, spread["split"]).auc_pr_after.value
    others = [item["auc_pr_after"]["value"] for item in found.record["other_seeds"] if item.get("auc_pr_after")]
    mine = [others[0] if spread["split"] == "train" else others[-1], first]
    assert spread["auc_pr_after"]["mean"] == pytest.approx(np.mean(mine)) and spread["auc_pr_after"]["seeds"] == 2
    assert "AUC-PR with the change" in (found.path / "universal.html").read_text()
