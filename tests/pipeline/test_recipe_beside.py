"""Values of single data sets in a recipe, and the table of sets beside their controls."""

import json

import pytest

from percuss.core.errors import UsageError
from percuss.pipeline import recipe_steps
from percuss.pipeline.recipe import open_recipe, read_recipe, spread, values_of, values_of_set
from percuss.pipeline.reproduce import reproduce

NETWORK = """
from torch import nn

def small(classes=2, **_):
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
"""
SETS = """
name = "sets"
title = "A study of sets"
paper = "Nobody, nowhere"

[values]
epochs = 2
sizes = ["linf=2/255", "linf=32/255"]

[sets.ct]
epochs = 3

[[steps]]
id = "train"
kind = "train"
options = { model = "factory:beside_network:small", epochs = "$epochs", warmup = 0.0, batch_size = 8 }

[[steps]]
id = "attack"
kind = "audit"
on = ["train"]
options = { attacks = ["fgsm"], budgets = "$sizes", checks = "off", split = "all" }

[[steps]]
id = "flips"
kind = "fragility"
on = ["attack"]
options = { norms = ["linf"], steps = 20 }

[beside]
id = "controls"
title = "Beside the control"
step = "flips"
controls = ["control"]
"""


def test_sets_have_values_of_their_own_and_stand_beside_their_controls(tmp_path, monkeypatch):
    (tmp_path / "beside_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    recipe = tmp_path / "sets.toml"
    recipe.write_text(SETS)
    tissue = "synthetic:tissue?n=24&size=48&patients=6&mpp=1"
    options = {
        "data": [f"ct={tissue}", f"control={tissue}&seed=1"],
        "settings": {"control.epochs": 1, "sizes": ["linf=2/255"]},
        "threads": 1,
        "allow_code": True,
    }
    found = reproduce(str(recipe), out=tmp_path / "run", **options)
    epochs = [
        len(json.loads((tmp_path / "run" / name / "train" / "training.json").read_text())["history"])
        for name in ("ct", "control")
    ]
    assert epochs == [3, 1]
    table = found.results.tables[-1]
    assert (table.id, table.words, len(table.rows)) == ("controls", 3, 1) and table.published is None
    assert table.rows[0][:2] == ("ct", "control") and "linf" in table.rows[0][2]
    sizes = [
        json.loads((tmp_path / "run" / name / "attack" / "fragility.json").read_text())["sizes"][0]["absolute"]["value"]
        for name in ("ct", "control")
    ]
    assert table.rows[0][3] == pytest.approx(sizes[0] - sizes[1])
    assert "Beside the control" in found.report.read_text()
    options["settings"]["mri.epochs"] = 2
    with pytest.raises(UsageError, match=r"no such data set: mri.epochs"):
        reproduce(str(recipe), out=tmp_path / "other", **options)


def test_values_of_a_set_stand_below_those_of_the_command():
    recipe = open_recipe("joel")

    def epochs(name, quick=False, **given):
        return values_of_set(values_of(recipe, protocol="corrected", quick=quick, given=given), name)["epochs"]

    assert [epochs(name) for name in ("ct", "mri", "mnist", "cifar", "other")] == [200, 100, 20, 60, 200]
    assert epochs("mri", quick=True) == recipe.quick["epochs"]
    assert epochs("mri", epochs=7) == 7 and epochs("mri", **{"epochs": 7, "mri.epochs": 9}) == 9
    with pytest.raises(UsageError, match="no value: mri.epoch.*epochs"):
        epochs("mri", **{"mri.epoch": 1})


def test_the_papers_own_hardening_of_each_set():
    """Table S4 of Joel et al.: size and epochs of each set; each step a quarter of the size."""
    recipe = open_recipe("joel")
    values = values_of(recipe, protocol="corrected", quick=False, given={})
    known = {"seed": 0, "protocol": "corrected"}
    found = {}
    for name in ("ct", "mammo", "mri", "mnist", "cifar"):
        harden = next(step for step in recipe.steps if step.id == "harden")
        (one,) = spread(harden, values_of_set(values, name) | known)
        settings = one.options["defence"]["settings"]
        assert "step_size" not in settings and settings["steps"] == 7, "a quarter of the size from 7 steps on"
        found[name] = (one.options["defence"]["budget"], one.options["epochs"])
        recipe_steps.check_options(one)
    assert found == {
        "ct": ("linf=0.003", 200),
        "mammo": ("linf=0.002", 100),
        "mri": ("linf=0.004", 200),
        "mnist": ("linf=0.2", 50),
        "cifar": ("linf=0.02", 100),
    }


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("epochs = 3", "epoch = 3", r"sets\.ct: epoch\. Allowed: epochs"),
        (
            'step = "flips"',
            'step = "attack"',
            r"beside\.step: attack\. Allowed: a step of the kind fragility \(flips\)",
        ),
        ('controls = ["control"]', "controls = []", r"beside\.controls"),
    ],
)
def test_wrong_files_are_named_with_their_key(tmp_path, old, new, key):
    path = tmp_path / "mine.toml"
    path.write_text(SETS.replace(old, new))
    with pytest.raises(UsageError, match=key):
        read_recipe(path)
