"""Blocks as steps of a recipe: a universal change judged by a second network, and a pack of cases."""

import json

import pytest

from percuss.pipeline.reproduce import reproduce

NETWORK = """
from torch import nn

def wide(classes=2, **_):
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, classes))

def narrow(classes=2, **_):
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
"""
RECIPE = """
name = "blocks"
title = "Blocks"
paper = "Nobody, nowhere"

[values]
synthetic = "synthetic:tissue?n=96&size=48&patients=12&mpp=1"

[[steps]]
id = "train"
kind = "train"
options = { model = "factory:block_networks:wide", epochs = 10, warmup = 0.0, batch_size = 8, lr = 0.05 }

[[steps]]
id = "other"
kind = "train"
options = { model = "factory:block_networks:narrow", epochs = 10, warmup = 0.0, batch_size = 8, lr = 0.05 }

[[steps]]
id = "universal"
kind = "universal"
on = ["train", "other"]
options = { budget = "linf=32/255", epochs = 2, only = "$last_class", seeds = 2 }

[[steps]]
id = "attack"
kind = "audit"
on = ["train"]
options = { attacks = ["pgd"], budgets = ["none"], steps = 10, checks = "off", split = "test" }

[[steps]]
id = "pack"
kind = "pack"
on = ["attack"]
options = { cases = 2, positive = "$last_class" }

[[tables]]
id = "one"
title = "One change"
words = ["part"]
columns = ["its own network, over seeds", "the other network"]
[[tables.rows]]
label = ["{part}"]
each = { part = ["train", "test"] }
cells = [
  "universal: spread[split={part}, name=$last_class] > success | share",
  "universal: transfer[judge=other, split={part}, name=$last_class] > success | count",
]

[[tables]]
id = "reading"
title = "Reading"
words = ["set"]
columns = ["original", "perturbed"]
[[tables.rows]]
label = ["{set}"]
each = { set = ["1", "2"] }
cells = ["pack: sets[set={set}] > original | number", "pack: sets[set={set}] > perturbed | number"]
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "block_networks.py").write_text(NETWORK)
    (tmp_path / "blocks.toml").write_text(RECIPE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_tables_hold_what_the_blocks_found(home):
    done = reproduce(str(home / "blocks.toml"), out=home / "run", allow_code=True, threads=1)
    one, reading = done.results.tables
    record = json.loads((home / "run" / "universal" / "results.json").read_text())
    for label, mean, share in one.rows:
        row = {(item["split"], item["name"]): item for item in record["spread"]}[label, "tumour"]
        assert mean == row["success"]["mean"] and row["success"]["seeds"] == 2
        judged = [item for item in record["transfer"] if (item["split"], item["name"]) == (label, "tumour")]
        assert [item["success"]["value"] for item in judged] == [share] and judged[0]["judge"] == "other"
    assert reading.rows == (("1", 2, 2), ("2", 2, 2))
    assert len(list((home / "run" / "pack" / "reader").glob("*.png"))) == 8
