"""A universal change for class maps: flips and Dice are those of the change, counted anew."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from percuss.core.dense import BAR, quality
from percuss.core.model import Model, ModelInfo
from percuss.data.patterns.images import PatternSet
from percuss.data.spec import load_data
from percuss.evaluate.universal import universal_findings
from percuss.pipeline.universal import read_universal, universal

SMALL = {"budget": "linf=40/255", "epochs": 2, "group": 6}
SPEC = "synthetic:patterns?n=60&size=24&tries=3&seed=3"


class Merged(PatternSet):
    """Any shape, in the left or the right half: what a few weights can learn."""

    def __init__(self, *given):
        super().__init__(*given)
        self.classes = ("background", "left", "right")

    def read(self, case_id):
        case = super().read(case_id)
        side = np.where(np.arange(case.target.shape[1]) < case.target.shape[1] // 2, 1, 2)
        return replace(case, target=np.where(case.target > 0, side, 0).astype(np.uint8), instances=None)

    def subset(self, split=None, ids=None):
        return Merged(self.spec, self.settings, super().subset(split, ids).entries)


class Bright(nn.Module):
    """Each pixel by the colours around it and by its column."""

    def __init__(self):
        super().__init__()
        self.mix, self.last = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, images):
        column = torch.linspace(-1, 1, images.shape[3]).expand(len(images), 1, images.shape[2], -1)
        return self.last(torch.relu(self.mix(torch.cat([images, column], 1))))


@pytest.fixture(scope="module")
def segmented():
    torch.manual_seed(0)
    plain, network = load_data(SPEC), Bright()
    data = Merged(plain.spec, plain.settings, plain.entries)
    own = data.subset(split="train").collect(data.subset(split="train").ids)
    steps = torch.optim.Adam(network.parameters(), 2e-2)
    for _ in range(120):
        steps.zero_grad()
        nn.functional.cross_entropy(network(own.images), own.targets.long()).backward()
        steps.step()
    return data, Model(network.eval(), ModelInfo("bright", "segment", data.classes, 3, weights="given"))


@pytest.fixture(scope="module")
def done(segmented, tmp_path_factory):
    data, model = segmented
    return universal(model, data=data, out=tmp_path_factory.mktemp("universal") / "run", **SMALL)


def tally(found, split, name="all"):
    (item,) = [t for t in found.tallies if (t.split, t.name) == (split, name)]
    return item


def test_flips_and_dice_are_those_of_the_change(done, segmented):
    data, model = segmented
    batch = data.subset(split="test").collect(data.subset(split="test").ids)
    with torch.no_grad():
        before, after = (model(images).argmax(1) for images in (batch.images, (batch.images + done.change).clamp(0, 1)))
    first, then = (quality(maps, batch.targets, 3) for maps in (before, after))
    item = tally(done, "test")
    assert item.success.n == int((first >= BAR).sum()) > 0
    assert item.success.value == pytest.approx(float((then < BAR)[first >= BAR].double().mean()))
    assert item.dice.value == pytest.approx(float(first.mean()))
    assert item.dice_after.value == pytest.approx(float(then.mean()))
    assert item.dice_after.value < item.dice_noise.value < item.dice.value + 0.02
    held = (batch.targets == 1).flatten(1).any(1)
    own = [
        2 * float(((m == 1) & (t == 1)).sum()) / float((m == 1).sum() + (t == 1).sum())
        for m, t in zip(after[held], batch.targets[held], strict=True)
    ]
    one = tally(done, "test", data.classes[1])
    assert one.dice_after.value == pytest.approx(np.mean(own)) and one.robust.n == int(held.sum())
    assert tally(done, "test", data.classes[0]).dice is None


def test_the_page_and_the_files_tell_the_dice(done):
    page = (done.path / "universal.html").read_text()
    assert "mean Dice" in page and "with the change" in page
    record = json.loads((done.path / "results.json").read_text())
    assert record["data"]["task"] == "segment" and record["destinations"] == {}
    table = pd.read_csv(done.path / "per_image.csv")
    assert {"quality", "quality_after", "quality_stored", "quality_noise", "dice_1", "dice_2_noise"} <= set(table)
    again = read_universal(done.path)
    assert again.tallies == done.tallies


def test_one_class_alone(segmented, tmp_path):
    data, model = segmented
    name = data.classes[2]
    found = universal(model, data=data, out=tmp_path / "run", **SMALL | {"epochs": 1}, only=name)
    train = data.subset(split="train")
    holding = [case for case in train.ids if (train.read(case).target == 2).any()]
    assert 0 < len(holding) < len(train.ids)
    assert found.record["history"][0]["n"] == len(holding)


@pytest.mark.parametrize(("after", "found"), [(0.2, []), (0.7, ["universal-not-above-noise"])])
def test_a_change_that_spoils_masks_without_flips_is_above_noise(after, found):
    count = 30
    rows = pd.DataFrame({"split": "test", "group": "", "success": [False] * count, "noise": [False] * count})
    rows["quality_noise"] = 0.7 + 0.01 * np.sin(np.arange(count))
    rows["quality_after"] = after + 0.01 * np.cos(np.arange(count))
    assert [item.id for item in universal_findings(rows, seed=0)] == found
