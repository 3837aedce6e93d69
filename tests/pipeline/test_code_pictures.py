"""What an audit writes of a network with a code: kernels by use, the code of one tile; nothing for other networks."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from spots import CLASSES, SIDE, Spots, averager, run

from percuss.core.teller import Silent
from percuss.models.spec import load_model
from percuss.pipeline import code_pictures
from percuss.pipeline.recipe_cells import look_up, shown
from percuss.report.code_part import code_part

SPECS = {
    "sparse": "percuss:sparse_detector?atoms=6&kernel=6&stride=2&active=0.05&updates=3",
    "denoising": "percuss:denoising_detector?epochs=1",
}
QUICK = {"attacks": ["fgsm", "noise"], "budgets": ["l2=0.5", "l2=2"]}


@pytest.fixture(scope="module")
def audits(tmp_path_factory):
    found = {}
    for name, spec in SPECS.items():
        torch.manual_seed(0)
        model = load_model(spec, task="heatmap", classes=CLASSES, channels=3)
        folder = tmp_path_factory.mktemp(name)
        model.network.prepare(Spots().tensors()[0], seed=0, folder=folder, progress=Silent())
        found[name] = (model.eval(), run(folder / "run", model=model, **QUICK))
    return found


def told_of(run):
    return json.loads((run.path / "code" / "told.json").read_text())


def test_the_dictionary_stands_in_the_order_of_its_use(audits):
    model, done = audits["sparse"]
    told = told_of(done)
    images, _ = Spots().tensors()
    assert told["kind"] == "sparse code" and len(told["use"]) == 6
    with torch.no_grad():
        every = model.network.code(images)
    # Four of the eight tiles are looked at, one of them the shown one.
    chosen = [place for place, name in enumerate(Spots().ids) if name == told["image"]]
    others = [place for place in range(8) if place not in chosen][:3]
    use = (every[chosen + others] != 0).float().mean((0, 2, 3))
    assert torch.allclose(torch.tensor(told["use"]), use, atol=1e-6)
    total = every[chosen + others].sum((0, 2, 3))
    first = model.network.dictionary[int(total.argmax())]
    found = np.asarray(Image.open(done.path / "code" / "dictionary.png"))
    # Enlarged sixfold, a white line before each: the first kernel, stretched about mid-grey.
    shade = (128 + 127 * first.double() / first.double().abs().max()).round().permute(1, 2, 0).numpy()
    assert found.shape == (6 * (2 * 7 + 1), 6 * (4 * 7 + 1), 3) and found[:6].min() == 255
    assert np.array_equal(found[6:42, 6:42], shade.astype(np.uint8).repeat(6, axis=0).repeat(6, axis=1))
    assert "the most used first" in told["kernels"]["caption"] and told["kernels"]["width"] == found.shape[1]


def test_features_are_those_of_the_tile_with_most_of_both(audits):
    model, done = audits["sparse"]
    told = told_of(done)
    images, truth = Spots().tensors()
    share = (truth == 1).float().mean((1, 2))
    assert told["image"] == Spots().ids[int((share - 0.5).abs().argmin())]
    place = Spots().ids.index(told["image"])
    with torch.no_grad():
        code = model.network.code(images[place : place + 1])
        rebuilt = model.network.rebuild(code, images[place : place + 1])[0]
    heads = [item["caption"] for item in told["pictures"]]
    assert heads[0] == "tile" and heads[1].startswith("from its code; ")
    left = float(((images[place] - rebuilt) ** 2).sum() / ((images[place] - images[place].mean()) ** 2).sum())
    assert f"{100 * left:.1f} % of variance left out" in heads[1]
    shown_tile = np.asarray(Image.open(done.path / "code" / told["pictures"][0]["file"]))
    assert np.array_equal(shown_tile, np.asarray(Image.open(done.path / f"images/original/{told['image']}.png")))
    strongest = int(code.sum((0, 2, 3)).argmax())
    assert heads[4] == f"kernel {strongest}" and heads[5].startswith(f"kernel {strongest}, ")
    part = code_part(done.path)
    assert part is not None and len(part.pictures) == len(heads)
    html = (done.path / "report.html").read_text()
    assert '<section id="code">' in html and "few kernels at few places" in html
    for file in ("code/dictionary.png", "code/features.png", "code/told.json"):
        assert file in json.loads((done.path / "manifest.json").read_text())["files"], "hashed with the run"


def test_a_bottleneck_shows_its_channels_and_the_first_layer(audits):
    _, done = audits["denoising"]
    told = told_of(done)
    assert told["kind"] == "code" and "36 kernels of 8 × 8, of the first layer" in told["kernels"]["caption"]
    channels = [item["caption"] for item in told["pictures"][3:]]
    assert len(channels) == 9 and all(text.startswith("channel ") for text in channels)
    assert ["Code of a tile", f"{SIDE // 2} × {SIDE // 2} × 9"] in told["facts"]
    assert ["… for each value of the tile", "0.75"] in told["facts"]


def test_networks_without_a_code_have_no_such_files(tmp_path, monkeypatch):
    monkeypatch.setattr(code_pictures, "_look", lambda *_: pytest.fail("looked at"))
    done = run(tmp_path / "run", model=averager(), **QUICK)
    assert not (done.path / "code").exists() and '<section id="code">' not in (done.path / "report.html").read_text()


def test_cells_of_tables_reach_auc_pr(audits):
    _, done = audits["denoising"]
    content = json.loads((done.path / "results.json").read_text())
    heat = done.results.heat
    for attack in ("fgsm", "noise", "worst"):
        for budget in ("l2=0.5", "l2=2"):
            for stored in (False, True):
                found = look_up(content, f"heat > points[attack={attack}, budget={budget}, stored={stored}] > auc_pr")
                point = next(p for p in heat.points if (p.attack, p.budget, p.stored) == (attack, budget, stored))
                assert found == point.auc_pr.model_dump(), (attack, budget, stored)
    value, text = shown(look_up(content, "heat > clean > auc_pr"), "share")
    assert value == heat.clean.auc_pr.value and text.startswith(f"{100 * value:.0f}")
    assert shown(look_up(content, "heat > null"), "share")[0] == heat.null
    assert shown(look_up(content, "heat > clean > auc_pr"), "number")[1].startswith(f"{value:.3f}")


def test_a_portion_without_a_readable_image_is_passed_over(audits, tmp_path, monkeypatch):
    model, _ = audits["denoising"]
    monkeypatch.setattr("percuss.pipeline.inputs.CHUNK", 2)
    bad = {"target": np.zeros((3, 3), np.uint8)}
    done = run(tmp_path / "run", data=Spots(faults={"tile0": bad, "tile1": bad}), model=model, **QUICK)
    assert done.results.data.n_bad == 2 and told_of(done)["image"] in Spots().ids[2:4]
