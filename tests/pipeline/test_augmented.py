"""Augmented sets on disk: a stop changes no byte, damage is mended, foreign sets are refused; the four trainings."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from percuss.core.budget import Norm
from percuss.core.errors import RunError, UsageError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.defend.hardening import Ground
from percuss.defend.library import make_defence
from percuss.models.spec import load_model
from percuss.pipeline import augmented as module
from percuss.pipeline.augmented import augmented
from percuss.pipeline.progress import Progress
from percuss.pipeline.training_interface import harden, train

DATA = "synthetic:patterns?n=10&size=16&seed=1"
SMALL = {"epochs": 2, "batch_size": 6, "device": "cpu", "seed": 3, "keep_weights": True}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "PIXELS", 2 * 12 * 12)


def segmenter(seed=3):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1))
    return Model(body, ModelInfo("net", "segment", ("0", "1", "2"), 3))


def images(n=5):
    made = torch.Generator().manual_seed(5)
    truth = torch.randint(0, 3, (n, 12, 12), generator=made).to(torch.uint8)
    pixels = torch.rand(n, 3, 12, 12, generator=made)
    return Tensors([f"im{i}" for i in range(n)], pixels, truth, [None] * n, PixelRange())


def make(home, name="both", model=None, plain=None, progress=None, eps=0.06, **settings):
    recipe = make_defence(name, Ground(Norm.LINF, eps), settings)
    return augmented(recipe, model or segmenter(), plain or images(), home=home, progress=progress or Progress())


def content(home):
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


class Told(Progress):
    """Keeps what it is told; raises, as a kill would, when the given number of parts are done."""

    def __init__(self, last=None):
        self.lines, self.last, self.parts, self.images = [], last, 0, 0

    def line(self, text):
        self.lines.append(text)

    def advance(self, count=1):
        self.parts, self.images = self.parts + 1, self.images + count
        if self.parts == self.last:
            raise KeyboardInterrupt


def test_a_stop_anywhere_changes_no_byte(tmp_path, monkeypatch):
    straight, told = make(tmp_path / "whole")
    assert len(straight.ids) == 15 and [one["method"] for one in told] == ["layered", "hypothesis"]
    for last in (1, 4):
        home = tmp_path / str(last)
        with pytest.raises(KeyboardInterrupt):
            make(home, progress=Told(last))
        again = Told()
        found, _ = make(home, progress=again)
        assert again.images == 10 - (2 if last == 1 else 7) and "there already" in again.lines[0 if last == 1 else 1]
        assert torch.equal(found.images, straight.images) and found.ids == straight.ids
        assert content(home) == content(tmp_path / "whole")
    # Between a part and its entry, as kill -9 may strike.
    shown = module.write_bytes
    monkeypatch.setattr(
        module, "write_bytes", lambda path, what: 1 / 0 if path.name == module.PROVENANCE else shown(path, what)
    )
    with pytest.raises(ZeroDivisionError):
        make(tmp_path / "killed")
    monkeypatch.undo()
    monkeypatch.setattr(module, "PIXELS", 2 * 12 * 12)
    make(tmp_path / "killed")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_what_is_there_is_read_and_not_made_again(tmp_path, monkeypatch):
    first, told = make(tmp_path)
    monkeypatch.setattr(module, "changed", None)
    second, again = make(tmp_path)
    assert torch.equal(first.images, second.images) and told == again
    # Each of the other two trainings finds its own set there.
    assert torch.equal(make(tmp_path, "layered")[0].images, first.images[5:10])
    assert torch.equal(make(tmp_path, "hypothesis")[0].images, first.images[10:])


@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_damaged_part_is_made_again_and_said(tmp_path, harm):
    make(tmp_path, "layered")
    before, path, told = content(tmp_path), tmp_path / "layered" / "part-00001.safetensors", Told()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    {"cut": lambda: path.write_bytes(data[:-9]), "flip": lambda: path.write_bytes(data), "gone": path.unlink}[harm]()
    make(tmp_path, "layered", progress=told)
    assert content(tmp_path) == before and told.images == 2
    assert told.lines[0] == "layered: part-00001.safetensors missing or damaged, made again"


def test_sets_made_otherwise_are_refused(tmp_path):
    make(tmp_path)
    plain = images()
    plain.targets[0, 0, 0] = (plain.targets[0, 0, 0] + 1) % 3
    for word, given in (
        ("model", {"model": segmenter(4)}),
        ("images", {"plain": plain}),
        ("images", {"plain": images(4)}),
        ("settings", {"steps": 3}),
        ("eps", {"eps": 0.05}),
    ):
        with pytest.raises(RunError, match=f"made otherwise; they differ in their .*{word}"):
            make(tmp_path, **given)
    with pytest.raises(RunError, match="differ in their norm, eps|differ in their settings, norm, eps"):
        make(tmp_path, protocol="paper", steps=20, step_size=2.5 * 0.06 / 20)
    path = tmp_path / "layered" / "provenance.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"percuss_version": "0"}))
    make(tmp_path)  # complete: its bytes are what they are
    (record | {"percuss_version": "0"})["parts"].popitem()
    path.write_text(json.dumps(record | {"percuss_version": "0"}))
    with pytest.raises(RunError, match="version of percuss"):
        make(tmp_path)
    for text in ("{", "[]", json.dumps(record | {"parts": {"a": {}}})):
        path.write_text(text)
        with pytest.raises(RunError, match="cannot be read.*delete its folder"):
            make(tmp_path)


def test_provenance_says_what_was_made_and_parts_hold_float32_exactly(tmp_path):
    found, told = make(tmp_path, "hypothesis")
    record = json.loads((tmp_path / "hypothesis" / "provenance.json").read_text())
    assert record["identity"]["model"] == segmenter().fingerprint() and "truth" in record["note"]
    assert record["identity"]["eps"] == 0.06 and record["identity"]["settings"]["search"] == "quick"
    rows = [row for part in record["parts"].values() for row in part["images"]]
    assert [row["id"] for row in rows] == images().ids
    assert all(row["loss_after"] <= row["loss_before"] and 0 < row["linf"] <= 0.06 + 1e-6 for row in rows)
    parts = sorted((tmp_path / "hypothesis").glob("*.safetensors"))
    stored = torch.cat([safetensors.torch.load_file(path)["images"] for path in parts])
    assert stored.dtype == torch.float32 and torch.equal(stored, found.images)
    off_levels = (stored * 255 - (stored * 255).round()).abs().max()
    assert off_levels > 0.1, "an 8-bit file would have rounded the change"
    assert told[0]["linf_used"] == max(row["linf"] for row in rows) and told[0]["count"] == 5


def test_paper_says_how_far_the_changes_went(tmp_path):
    told = Told()
    _, (one, *_) = make(tmp_path, "layered", protocol="paper", steps=30, step_size=0.01, progress=told)
    assert one["eps"] is None and one["linf_used"] > 0.2
    assert f"linf {one['linf_used']:.4g}" in told.lines[-1] and "no limit was set" in told.lines[-1]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    home = tmp_path_factory.mktemp("plain") / "model"
    return train(data=DATA, model="percuss:unet_avramidis?width=8", out=home, **SMALL).path


def weights(path, epoch):
    return safetensors.torch.load_file(Path(path) / "trajectory" / f"epoch-{epoch:04d}.safetensors")


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_the_four_trainings_begin_alike_and_share_their_sets(tmp_path, plain):
    sets, told, done = tmp_path / "sets", Told(), {}
    for name in ("layered", "hypothesis", "both"):
        common = {"data": DATA, "model": plain, "budget": "linf=4/255", "fresh": True, "augmented": sets} | SMALL
        own = {"steps": 2} if name != "hypothesis" else {}
        own |= {"asks": 50} if name != "layered" else {}
        done[name] = harden(defence=name, out=tmp_path / name, progress=told, check_steps=1, **own, **common)
        assert same(weights(plain, 0), weights(done[name].path, 0)), "the same fresh weights"
        assert not same(weights(plain, 1), weights(done[name].path, 1))
    assert sorted(path.name for path in sets.iterdir()) == ["hypothesis", "layered"]
    assert sum("changing 6 training images" in line for line in told.lines) == 2
    assert "both: 1 epochs for 2, as the set has 18 images" in told.lines
    both = done["both"].record
    assert len(both["history"]) == 1 and both["n"]["train"] == 6
    assert (both["history"][0]["clean_images"], both["history"][0]["adversarial_images"]) == (6, 12)
    assert done["layered"].record["history"][0]["adversarial_images"] == 6
    assert [one["method"] for one in both["augmented"]] == ["layered", "hypothesis"]
    assert both["augmented"][0]["model"] == load_model(plain).fingerprint()
    assert both["augmented"][0]["linf_used"] <= 4 / 255 + 1e-6
    assert both["robust"]["val"]["robust_accuracy"] is not None
    # The same command again reads everything, and ends with the same model.
    again = harden(defence="layered", out=done["layered"].path, steps=2, check_steps=1, **common)
    assert again.record["best_epoch"] == done["layered"].record["best_epoch"]


def test_without_fresh_it_goes_on_from_the_given_weights_with_sets_in_its_folder(tmp_path, plain):
    options = {"data": DATA, "model": plain, "budget": "linf=4/255", "steps": 1, "check_steps": 1} | SMALL
    out = tmp_path / "out"

    with pytest.raises(KeyboardInterrupt):
        harden(defence="layered", out=out, progress=Told(1), **options)
    assert [path.name for path in out.iterdir()] == ["augmented"]
    harden(defence="layered", out=out, **options)
    assert same(weights(out, 0), safetensors.torch.load_file(plain / "model.safetensors"))


def test_what_cannot_be_done_is_said_first(tmp_path, plain):
    common = {"data": DATA, "out": tmp_path / "x"} | SMALL
    with pytest.raises(UsageError, match="needs a trained model"):
        harden(model="percuss:unet_avramidis?width=8", defence="both", **common)
    with pytest.raises(UsageError, match="makes no images"):
        harden(model=plain, defence="pgd", augmented=tmp_path / "sets", **common)
    tissue = common | {"data": "synthetic:tissue?n=20&size=32&patients=10&mpp=1.5"}
    home = train(model="timm:test_resnet", **tissue | {"out": tmp_path / "tissue"}).path
    with pytest.raises(UsageError, match="layered is not for this task"):
        harden(model=home, defence="layered", **tissue)
