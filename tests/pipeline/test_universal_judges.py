"""One change judged by other models, and beside changes made with other seeds."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from percuss.core.errors import DataError, ModelError, UsageError
from percuss.core.model import Model, ModelInfo, is_right
from percuss.core.results import Interval
from percuss.core.universal import Tally
from percuss.evaluate.universal import spreads
from percuss.pipeline.universal import read_universal, universal

SMALL = {"budget": "linf=10/255", "epochs": 2, "group": 8}


class Bent(nn.Module):
    """The same network with its weights a little off."""

    def __init__(self, net, shift):
        super().__init__()
        self.net, self.shift = net, nn.Parameter(torch.tensor(shift))

    def forward(self, images):
        return self.net(images) + self.shift * torch.tensor([1.0, -1.0])


def other(judged, shift=0.3, weights="given"):
    return Model(Bent(judged.network, shift), ModelInfo("bent", "classify", judged.classes, 3, weights=weights))


@pytest.fixture(scope="module")
def done(tissue, judged, tmp_path_factory):
    out = tmp_path_factory.mktemp("judges") / "run"
    return universal(judged, data=tissue, out=out, judges=[other(judged)], seeds=3, **SMALL)


def test_counts_of_a_judge_are_those_of_the_change_on_it(done, tissue, judged):
    ((name, found),) = done.transfer.items()
    assert name == "bent"
    batch = tissue.subset(split="test").collect(tissue.subset(split="test").ids)
    model = other(judged)
    with torch.no_grad():
        right = is_right(model(batch.images), batch.targets, "classify")
        after = is_right(model((batch.images + done.change).clamp(0, 1)), batch.targets, "classify")
    (item,) = [tally for tally in found if (tally.split, tally.name) == ("test", "all")]
    assert item.success.n == int(right.sum()) != next(t.success.n for t in done.tallies if t.split == "test")
    assert round(item.success.value * item.success.n) == int((right & ~after).sum()) > 0
    assert [(t.split, t.name) for t in found] == [(t.split, t.name) for t in done.tallies]


def test_spread_is_that_of_the_runs_with_their_seeds(done, tissue, judged, tmp_path):
    alone = [universal(judged, data=tissue, out=tmp_path / str(seed), seed=seed, **SMALL) for seed in range(3)]
    assert alone[0].change.equal(done.change) and not alone[1].change.equal(done.change)
    shares = [next(t.success.value for t in run.tallies if (t.split, t.name) == ("test", "all")) for run in alone]
    (item,) = [row for row in done.record["spread"] if (row["split"], row["name"]) == ("test", "all")]
    wanted = {"mean": np.mean(shares), "sd": np.std(shares, ddof=1), "least": min(shares), "most": max(shares)}
    assert item["success"] == pytest.approx({**wanted, "seeds": 3})
    assert read_universal(done.path / "seed-2").change.equal(alone[2].change)


def test_page_and_numbers_hold_both(done):
    page = (done.path / "universal.html").read_text()
    assert "judged by models that it was not made on" in page and "over 3 changes" in page
    record = json.loads((done.path / "results.json").read_text())
    assert record["judges"][0]["name"] == "bent" and len(record["judges"][0]["sha256"]) == 64
    assert {row["judge"] for row in record["transfer"]} == {"bent"}
    assert {row["seed"] for row in record["other_seeds"]} == {1, 2}


def test_without_judges_and_seeds_there_is_neither(tissue, judged, tmp_path):
    made = universal(judged, data=tissue, out=tmp_path / "run", **SMALL)
    assert made.transfer == {} and made.record["spread"] == [] and made.record["judges"] == []


def test_doubt_about_a_judge_is_told(tissue, judged, tmp_path):
    made = universal(judged, data=tissue, out=tmp_path / "run", judges=[other(judged, weights="random")], **SMALL)
    (finding,) = [item for item in made.findings if item.id == "random-weights"]
    assert finding.message.startswith("bent has random weights")


def test_wrong_judges_are_named(tissue, judged, tmp_path):
    with pytest.raises(ModelError, match="two of the models are the same"):
        universal(judged, data=tissue, out=tmp_path / "a", judges=[judged], **SMALL)
    net = Model(judged.network, ModelInfo("odd", "classify", ("yes", "no"), 3, weights="given"))
    with pytest.raises(DataError, match="odd: a label is not in the model"):
        universal(judged, data=tissue, out=tmp_path / "b", judges=[net], **SMALL)
    with pytest.raises(UsageError, match="the option seeds is too small: 0"):
        universal(judged, data=tissue, out=tmp_path / "c", seeds=0, **SMALL)


def test_spread_leaves_out_what_was_not_counted():
    def tally(value):
        return Tally("test", "all", *[Interval(value=value, low=None, high=None, n=4, method="x")] * 4, None)

    (one,) = spreads([[tally(0.5)], [tally(None)]])
    assert one.success == {"mean": 0.5, "sd": None, "least": 0.5, "most": 0.5, "seeds": 1}
    (none,) = spreads([[tally(None)]])
    assert none.noise["mean"] is None and none.noise["seeds"] == 0
