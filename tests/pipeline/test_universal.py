"""A universal change from data to page: made on one split, judged on another, the same however it was made."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from percuss.core.budget import parse_budget
from percuss.core.errors import DataError, RunError, UsageError
from percuss.core.model import is_right
from percuss.core.seeds import ImageRandom
from percuss.core.stored import as_stored
from percuss.data.region import tissue as stained
from percuss.data.spec import load_data
from percuss.models.spec import load_model
from percuss.pipeline import universal_units as units
from percuss.pipeline.compare import compare
from percuss.pipeline.interface import audit
from percuss.pipeline.transfer import transfer
from percuss.pipeline.universal import read_universal, universal
from percuss.store.safe import sha256_of

SMALL = {"budget": "linf=10/255", "epochs": 3, "group": 8}


@pytest.fixture(scope="module")
def done(tissue, judged, tmp_path_factory):
    return universal(judged, data=tissue, out=tmp_path_factory.mktemp("universal") / "run", **SMALL)


def tally(found, split, name="all"):
    (item,) = [t for t in found.tallies if (t.split, t.name) == (split, name)]
    return item


def test_counts_are_those_of_the_change(done, tissue, judged):
    change = done.change
    assert change.shape == (3, 48, 48) and float(change.abs().max()) <= 10 / 255 + 1e-7
    batch = tissue.subset(split="test").collect(tissue.subset(split="test").ids)
    attacked = (batch.images + change).clamp(0, 1)
    saved = as_stored(batch.images, attacked, parse_budget("linf=10/255"), batch.range)
    with torch.no_grad():
        right, after, held = (is_right(judged(x), batch.targets, "classify") for x in (batch.images, attacked, saved))
    item = tally(done, "test")
    assert item.success.n == int(right.sum())
    assert round(item.success.value * item.success.n) == int((right & ~after).sum())
    assert round(item.success_stored.value * item.success_stored.n) == int((right & ~held).sum())
    assert item.robust.n == len(batch.ids)
    assert item.robust.value == pytest.approx(float((right & after).double().mean()))
    classes = [tally(done, "test", name) for name in ("normal", "tumour")]
    assert sum(c.success.n for c in classes) == item.success.n
    assert tally(done, "test", "mean over classes").success.value == pytest.approx(
        np.mean([c.success.value for c in classes])
    )
    moved = np.array(done.record["destinations"]["test"])
    assert moved.sum() == int(right.sum()) and np.trace(moved) == int((right & after).sum())


def test_beats_noise_of_its_size_on_unseen_images(done):
    for split in ("train", "test"):
        item = tally(done, split)
        assert item.success.value > item.noise.value
    assert "universal-not-above-noise" not in {f.id for f in done.findings}


def test_noise_has_every_size_of_the_change(done):
    from percuss.core.norms import Norm, distance
    from percuss.core.seeds import ImageRandom

    change = done.change.unsqueeze(0)
    drawn = units.shuffled(change, ImageRandom(0, ["a", "b"], "x"))
    assert drawn.shape == (2, 3, 48, 48) and not drawn[0].equal(drawn[1])
    for norm in (Norm.LINF, Norm.L2, Norm.L1, Norm.L0):
        assert distance(norm, drawn).tolist() == pytest.approx([float(distance(norm, change))] * 2)


def test_files_are_lossless_and_hashed(done):
    for name, wanted in done.record["sha256"].items():
        assert sha256_of(done.path / name) == wanted
    with np.load(done.path / "perturbation.npz") as found:
        assert found["perturbation"].dtype == np.float32 and str(found["budget"]) == "linf=10/255"
    assert json.loads((done.path / "results.json").read_text()) == done.record
    page = (done.path / "universal.html").read_text()
    assert page.count("<img") == 7 and "as stored" in page and not (done.path / "parts").exists()
    assert read_universal(done.path).tallies == done.tallies


def test_batch_size_and_memory_do_not_matter(done, tissue, judged, tmp_path, monkeypatch):
    monkeypatch.setattr(units, "HELD_BYTES", 0)
    again = universal(judged, data=tissue, out=tmp_path / "run", batch_size=5, **SMALL)
    assert again.change.equal(done.change)
    assert (again.path / "per_image.csv").read_text() == (done.path / "per_image.csv").read_text()


@pytest.mark.parametrize("method", ["batched", "sgd"])
def test_goes_on_after_its_last_epoch(done, tissue, judged, tmp_path, monkeypatch, method):
    small = SMALL | {"method": method, "train_limit": 16}
    whole = universal(judged, data=tissue, out=tmp_path / "whole", **small)
    real, calls = units.advance, []

    def dying(*args, **settings):
        calls.append(1)
        if len(calls) == (5 if method == "batched" else 37):
            raise KeyboardInterrupt
        return real(*args, **settings)

    monkeypatch.setattr(units, "advance", dying)
    with pytest.raises(KeyboardInterrupt):
        universal(judged, data=tissue, out=tmp_path / "run", **small)
    made = len(calls)
    again = universal(judged, data=tissue, out=tmp_path / "run", **small)
    per_epoch = 2 if method == "batched" else 16
    assert len(calls) - made == per_epoch  # two epochs were kept, the third is made anew
    assert again.change.equal(whole.change) and again.tallies == whole.tallies
    with pytest.raises(RunError, match="another run"):
        universal(judged, data=tissue, out=tmp_path / "run", **{**small, "epochs": 4})


@pytest.mark.parametrize("budget", ["l2=1", "l1=20", "l0=2%", "none"])
@pytest.mark.parametrize("method", ["sgd", "batched"])
def test_every_norm(tissue, judged, tmp_path, budget, method):
    found = universal(
        judged, data=tissue, out=tmp_path / "run", budget=budget, method=method, epochs=2, train_limit=16, limit=8
    )
    norm = budget.partition("=")[0]
    limit = {"l2": 1.0, "l1": 20.0, "l0": 0.02}.get(norm, math.inf)
    assert found.record["sizes"].get(norm, 0.0) <= limit * (1 + 1e-5)


def test_one_class_alone(tissue, judged, tmp_path):
    found = universal(judged, data=tissue, out=tmp_path / "run", only="tumour", **SMALL)
    assert found.record["history"][0]["n"] < tally(found, "train").robust.n
    assert tally(found, "test", "tumour").success.value >= tally(found, "test", "normal").success.value


def test_what_cannot_be_done_is_named(tissue, judged, tmp_path):
    out = tmp_path / "run"
    for options, error, words in (
        ({"split": "train"}, UsageError, "judged on the images it was made on"),
        ({"split": "tset"}, DataError, "no split tset"),
        ({"method": "adam"}, UsageError, "sgd, batched"),
        ({"budget": "linf=1/255,2/255"}, UsageError, "one budget"),
        ({"only": "tumor"}, UsageError, "no such class: tumor. Allowed: tumour"),
        ({"epochs": 0}, UsageError, "epochs is too small"),
        ({"rate": 0}, UsageError, "rate is out of range"),
        ({"epohs": 3}, UsageError, "unknown option"),
    ):
        with pytest.raises(error, match=words):
            universal(judged, data=tissue, out=out, **{**SMALL, **options})


class Halves(nn.Module):
    """One label for each half of the image: it is bright."""

    def __init__(self, pull=60.0):
        super().__init__()
        self.pull = nn.Parameter(torch.tensor(pull))

    def forward(self, images):
        return (torch.stack([images[:, 0, :8].mean((1, 2)), images[:, 0, 8:].mean((1, 2))], 1) - 0.47) * self.pull


def test_several_labels(tmp_path):
    """With few images, and labels that pull against each other, in all three commands."""
    rng, lines = np.random.default_rng(0), ["path,label,split"]
    for i in range(60):
        labels = rng.integers(0, 2, 2)
        values = rng.integers(100, 120, (16, 16), dtype=np.uint8) + np.repeat(20 * labels, 8)[:, None].astype(np.uint8)
        Image.fromarray(values).save(tmp_path / f"{i}.png")
        lines.append(
            f"{i}.png,{'|'.join(n for n, bit in zip('ab', labels, strict=True) if bit)},{'train' if i < 30 else 'test'}"
        )
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    data = load_data(f"csv:{tmp_path}/table.csv?task=multilabel")
    model = load_model(Halves(), task="multilabel", classes=data.classes, channels=1)
    found = universal(model, data=data, budget="linf=14/255", out=tmp_path / "universal", epochs=2)
    assert tally(found, "test").success.value > 0.5 and found.record["destinations"] == {}
    assert tally(found, "test", "a").success.n < 30
    pair = [model, load_model(Halves(80.0), task="multilabel", classes=data.classes, channels=1)]
    test = data.subset(split="test")
    matrix = transfer(pair, data=test, budgets=["linf=12/255", "none"], out=tmp_path / "transfer", steps=5)
    assert {cell.both.value for cell in matrix.cells if cell.source != "noise" and cell.eps} == {1.0}
    runs = [
        audit(
            data=test, model=one, out=tmp_path / f"run{i}", budgets=["linf=12/255", "none"], attacks="pgd", steps=5
        ).path
        for i, one in enumerate(pair)
    ]
    compared = compare(runs)
    assert compared.n_images == 30 and {c.p_value for c in compared.contrasts} == {1.0}


@pytest.mark.parametrize("method", ["batched", "sgd"])
@pytest.mark.parametrize("budget", ["linf=10/255", "l0=5%"])
def test_inside_one_region_for_all_images(tissue, judged, tmp_path, method, budget):
    plane = torch.zeros(48, 48, dtype=torch.bool)
    plane[12:36, 10:30] = True
    Image.fromarray(plane.numpy().astype("uint8") * 255).save(tmp_path / "middle.png")
    where = str(tmp_path / "middle.png")
    options = SMALL | {"budget": budget, "method": method, "epochs": 2}
    found = universal(judged, data=tissue, out=tmp_path / "run", region=where, **options)
    change = found.change
    assert not bool(change[:, ~plane].any()) and bool(change[:, plane].any())
    assert (
        found.record["options"]["region"] == where
        and "inside the region" in (found.path / "universal.html").read_text()
    )
    with pytest.raises(RunError, match="another run"):
        universal(judged, data=tissue, out=tmp_path / "run", **options)


def test_each_image_keeps_what_is_outside_its_own_region(tissue, judged, tmp_path, monkeypatch):
    """Counts are those of the change put into the tissue of each image, however the training images are held."""
    found = universal(judged, data=tissue, out=tmp_path / "run", region="tissue", **SMALL)
    test = tissue.subset(split="test")
    batch = test.collect(test.ids)
    region = stained(batch.images)
    assert not bool(region.all()) and bool(region.any())
    attacked = torch.where(region.unsqueeze(1), (batch.images + found.change).clamp(0, 1), batch.images)
    with torch.no_grad():
        right, after = (is_right(judged(x), batch.targets, "classify") for x in (batch.images, attacked))
    item = tally(found, "test")
    assert round(item.success.value * item.success.n) == int((right & ~after).sum())
    monkeypatch.setattr(units, "HELD_BYTES", 0)
    other = universal(judged, data=tissue, out=tmp_path / "read", region="tissue", **SMALL)
    assert other.change.equal(found.change)


def test_noise_in_a_region_has_the_values_inside(done):
    region = torch.rand(2, 48, 48, generator=torch.Generator().manual_seed(0)) < 0.4
    change = done.change.unsqueeze(0)
    drawn = units.shuffled(change, ImageRandom(0, ["a", "b"], "x"), region)
    assert not bool(drawn.permute(0, 2, 3, 1)[~region].any())
    for i in range(2):
        kept = [values.abs().sum(0)[region[i]].sort().values for values in (drawn[i], change[0])]
        assert torch.allclose(*kept)
    assert units.shuffled(change, ImageRandom(0, ["a"], "x"), torch.ones(1, 48, 48, dtype=torch.bool)).equal(
        units.shuffled(change, ImageRandom(0, ["a"], "x"))
    )
