"""The recipe wasserman: X-rays attacked after and before their sharpening, seeds pooled, maps beside noise."""

import json

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import UsageError
from percuss.pipeline.recipe import FOLDER, open_recipe, read_recipe, spread, values_of, values_of_set
from percuss.pipeline.reproduce import reproduce


def values(name="", **given):
    return values_of_set(values_of(open_recipe("wasserman"), protocol="corrected", quick=False, given=given), name)


def steps(start, found):
    recipe = open_recipe("wasserman")
    return [one for step in recipe.steps if step.id.startswith(start) for one in spread(step, found)]


def test_a_step_works_on_one_step_for_each_item_of_a_value(tmp_path):
    one, two = steps("pool-{", values(seeds=[3, 5]))
    assert two.on[:2] == ("attack-paper-3", "attack-paper-5")
    assert one.on == ("attack-fixed-3", "attack-fixed-5", "attack-none-3", "attack-none-5")
    path = tmp_path / "wrong.toml"
    text = (FOLDER / "wasserman.toml").read_text()
    path.write_text(text.replace('"attack-{form}-$seeds"', '"attack-{form}-$sids"', 1))
    with pytest.raises(UsageError, match=r"\$sids"):
        read_recipe(path)


def test_skin_images_are_filled_up_and_x_rays_sharpened_each_under_its_name():
    skin, chest, other = (steps("train", values(name))[0].options for name in ("ham", "chest", "retina"))
    assert (skin["balance"], skin["epoch_share"], skin["augment"]) == (8000, 0.1, "rotate180zoom")
    assert skin["reading"] == other["reading"] == {} and chest["reading"] == {"stretch": "yes", "sharpen": "yes"}
    for options in (chest, other):
        assert "balance" not in options and options["epoch_share"] == 1.0 and options["augment"] == "none"
    assert all(options["min_delta"] == 0.001 and options["patience"] == 40 for options in (skin, chest, other))
    assert steps("before", values("ham")) == [] and len(steps("before", values("chest"))) == 9


@pytest.fixture(scope="module")
def x_rays(tmp_path_factory):
    """The whole recipe on tiny X-rays under the name chest; two seeds, one epoch."""
    home = tmp_path_factory.mktemp("x-rays")
    rng = np.random.default_rng(0)
    lines = ["path,label,split"]
    for number in range(36):
        label, split = number % 2, ("train", "train", "val", "test")[number // 2 % 4]
        pixels = rng.integers(60, 120, (40, 40)) + 60 * label * (np.arange(40) > 20)
        Image.fromarray(pixels.astype(np.uint8)).save(home / f"{number}.png")
        lines.append(f"{number}.png,{'ill' if label else 'well'},{split}")
    (home / "labels.csv").write_text("\n".join(lines) + "\n")
    given = {"epochs": 1, "steps": 2, "explained": 2, "budgets": ["linf=0.1"], "attacks": ["pgd"], "augment": "none"}
    given |= {"balance": "default", "epoch_share": 1.0, "forms": ["none", "fixed"], "attention": ["fixed"]}
    data = f"chest=csv:{home / 'labels.csv'}"
    return reproduce("wasserman", out=home / "run", data=data, settings=given, quick=True, threads=1)


def test_x_rays_are_attacked_after_and_before_their_sharpening(x_rays):
    after, before = (
        json.loads((x_rays.path / f"{kind}-fixed-0" / "results.json").read_text()) for kind in ("attack", "before")
    )
    assert after["data"]["spec"].endswith("?sharpen=yes&stretch=yes") and before["data"]["spec"].endswith("labels.csv")
    assert before["model"]["spec"].startswith("stretched:sharpened:")
    said = [one["threat_model"]["capability"] for one in (after, before)]
    assert said[0].endswith(", after they were stretched and sharpened")
    assert said[1].endswith(", before they are stretched and sharpened inside the model")
    # The same network decides the clean images alike, but for the rounding to levels.
    assert before["clean"]["accuracy"]["value"] == pytest.approx(after["clean"]["accuracy"]["value"], abs=0.13)


def test_seeds_are_pooled_on_the_same_images(x_rays):
    tables = {table.id: table for table in x_rays.results.tables}
    for step, table in (("pool-fixed", "pooled"), ("pool-before-fixed", "before")):
        record = json.loads((x_rays.path / step / "results.json").read_text())
        item = next(one for one in record["pooled"] if (one["attack"], one["stored"]) == ("worst", False))
        row = next(row for row in tables[table].rows if row[0] == "linf=0.1")
        assert item["seeds"] == 2 and row[2:5] == (item["second"], item["first"], item["difference"]["value"])
    clean = next(one for one in record["pooled"] if one["attack"] == "no attack")
    assert -1 <= clean["difference"]["value"] <= 1 and clean["each"]


def test_the_drift_of_maps_has_its_noise(x_rays):
    assert [step.reason for step in x_rays.results.steps if step.state == "left out"] == []
    (table,) = (table for table in x_rays.results.tables if table.id == "drift")
    rows = {row[:3]: row[4:] for row in table.rows}
    assert len(rows) == 18 and {key[0] for key in rows} == {"gradcam", "saliency", "perturbation"}
    drawn = 0
    for form in ("none", "fixed"):
        record = json.loads((x_rays.path / f"attack-{form}-0" / "explain.json").read_text())
        for item in record["maps"]["drift"]:
            assert rows[item["kind"], item["measure"], form][1] == item["noise"]["value"]
            drawn += 1
    assert drawn, "an attack of a tenth of the range flips some image"
