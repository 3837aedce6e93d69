"""What heat maps take from the model's training, and what must be said."""

import pytest
from heat_models import Local, local_model

from percuss.core.errors import ModelError, UsageError
from percuss.core.model import Model, ModelInfo
from percuss.pipeline.heatmap_options import HeatmapOptions, settle, tile_plan, trained_on
from percuss.pipeline.training import TrainPlan, train


def test_a_training_tells_side_and_resolution_of_its_tiles(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "heat_source.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    cell = 4\n\n    def __init__(self):\n"
        "        super().__init__()\n        self.head = nn.Conv2d(3, 1, 4, 4)\n\n    def forward(self, images):\n"
        "        return self.head(images)\n"
    )
    plan = TrainPlan(
        data="synthetic:slides?slides=3&side=256&size=64&mpp=1.5",
        model="factory:heat_source:Net",
        allow_code=True,
        settings={"epochs": 1, "threads": 1},
    )
    done = train(plan, out=tmp_path / "model")
    assert done.record["tiles"] == {"size": 64, "mpp": 1.5}
    assert trained_on(tmp_path / "model") == {"size": 64, "mpp": 1.5}
    settled = settle(HeatmapOptions(), local_model(), trained_on(tmp_path / "model"))
    assert (settled.size, settled.mpp, settled.overlap) == (64, 1.5, 16)
    assert (
        settle(HeatmapOptions(attacks=("pgd",), budgets=("l2=1",)), local_model(), {"size": 64, "mpp": 1}).overlap == 0
    )
    assert settle(HeatmapOptions(mpp=2.0, size=32), local_model(), trained_on(tmp_path / "model")).size == 32
    (tmp_path / "model" / "training.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        trained_on(tmp_path / "model")


def test_what_nobody_says_is_asked_for():
    assert trained_on(local_model()) == {} == trained_on("factory:none:none")
    with pytest.raises(UsageError, match="--mpp 1.0"):
        settle(HeatmapOptions(), local_model(), {"size": 64, "mpp": None})
    with pytest.raises(UsageError, match="--size 512"):
        settle(HeatmapOptions(mpp=1.0), local_model(), {})
    own = Model(Local(), ModelInfo("own", "heatmap", ("normal", "tumour"), 3, (96, 96), cell=4))
    assert settle(HeatmapOptions(mpp=1.0), own, {"size": 64}).size == 96


def test_tiles_are_those_of_percuss_tile():
    settled = settle(HeatmapOptions(mpp=1.0, size=64, overlap=16), local_model(), {})
    plan = tile_plan(settled, 4, "auto")
    assert (plan.size, plan.step, plan.cell, plan.edges, plan.share) == (64, 48, 4, "pad", 0.1)
    with pytest.raises(UsageError, match="tissue"):
        tile_plan(settle(HeatmapOptions(mpp=1.0, size=64, tissue="guess"), local_model(), {}), 4, "auto")
