"""An attack made on one model, judged on another: counts that can be made by hand, and sound refusals."""

import copy
import json

import pytest
import torch
from PIL import Image
from torch import nn

from percuss.attacks.tensors import attack
from percuss.core.errors import ModelError, RunError, UsageError
from percuss.core.model import Model, ModelInfo, is_right
from percuss.pipeline import crossing as steps
from percuss.pipeline.transfer import transfer

CLASSES = ("normal", "tumour")
SMALL = {"budgets": ["linf=1/255,4/255"], "steps": 3, "split": "all", "limit": 40}


def model(network, name, classes=CLASSES, **info):
    return Model(network, ModelInfo(name, "classify", classes, 3, **info))


@pytest.fixture(scope="module")
def pair(judged):
    """The linear model, and a shifted one that takes normalised images."""
    net = copy.deepcopy(judged.network)
    with torch.no_grad():
        net.last.bias += torch.tensor([0.1, -0.1])
        scale = 0.25
        net.last.bias += net.last.weight.sum(1) * 0.5
        net.last.weight *= scale
    return [model(judged.network, "plain"), model(net, "scaled", mean=(0.5,) * 3, std=(scale,) * 3)]


@pytest.fixture(scope="module")
def done(tissue, pair, tmp_path_factory):
    return transfer(pair, data=tissue, out=tmp_path_factory.mktemp("transfer") / "run", **SMALL)


def cell(done, source, target, budget="linf=4/255"):
    (found,) = [c for c in done.cells if (c.source, c.target, c.budget) == (source, target, budget)]
    return found


def test_cells_count_what_a_hand_counts(done, tissue, pair):
    batch = tissue.collect(tissue.spread(40))
    one, two = pair
    images = attack("pgd", one, batch.images, batch.targets, "linf=4/255", steps=3, early_stop=False)
    with torch.no_grad():
        right = [is_right(m(batch.images), batch.targets, "classify") for m in pair]
        after = is_right(two(images), batch.targets, "classify")
    both = right[0] & right[1]
    found = cell(done, "plain", "scaled").both
    assert (found.n, round(found.value * found.n)) == (int(both.sum()), int((both & ~after).sum()))
    own = cell(done, "plain", "plain")
    assert own.both.n == int(right[0].sum()) and own.given.value in (1.0, None)
    assert own.robust.n == 40 and own.robust.value <= float(right[0].double().mean())
    assert found.low <= found.value <= found.high


def test_noise_is_the_control_and_much_weaker(done):
    assert {c.source for c in done.cells} == {"plain", "scaled", "noise"}
    for target in ("plain", "scaled"):
        assert cell(done, "noise", target).both.value <= cell(done, target, target).both.value
    assert cell(done, "scaled", "plain").both.value > cell(done, "noise", "plain").both.value


def test_files_and_page(done):
    record = json.loads((done.path / "results.json").read_text())
    assert record == done.record and [m["mean"] for m in record["models"]] == ["0", "0.5, 0.5, 0.5"]
    page = (done.path / "transfer.html").read_text()
    assert "made on" in page and "<script" not in page
    assert (done.path / "matrix.csv").read_text().count("\n") == 1 + 2 * (4 + 2)
    assert (done.path / "per_image.csv").read_text().count("\n") == 1 + 40 * 2 * (4 + 2)
    assert not (done.path / "parts").exists()


def test_batch_size_does_not_matter(done, tissue, pair, tmp_path):
    again = transfer(pair, data=tissue, out=tmp_path / "run", batch_size=7, **SMALL)
    assert (again.path / "per_image.csv").read_text() == (done.path / "per_image.csv").read_text()


def test_goes_on_where_it_was(done, tissue, pair, tmp_path, monkeypatch):
    real, calls = steps.run_attack, []

    def dying(*args, **options):
        calls.append(args[0])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(steps, "run_attack", dying)
    with pytest.raises(KeyboardInterrupt):
        transfer(pair, data=tissue, out=tmp_path / "run", **SMALL)
    again = transfer(pair, data=tissue, out=tmp_path / "run", **SMALL)
    assert len(calls) == 4 + 2 * 2 * (2 + 2) - 3  # nothing that was finished is made again
    assert (again.path / "per_image.csv").read_text() == (done.path / "per_image.csv").read_text()
    before = len(calls)
    assert transfer(pair, data=tissue, out=tmp_path / "run", **SMALL).cells == again.cells and len(calls) == before
    with pytest.raises(RunError, match="another run"):
        transfer(pair, data=tissue, out=tmp_path / "run", **{**SMALL, "seed": 3})


def test_gradients_that_mislead_are_found(tissue, judged, tmp_path):
    class Masked(nn.Module):
        """The same decisions, but a gradient that points the other way."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, images):
            logits = self.inner(images)
            return 2 * logits.detach() - logits

    pair = [model(judged.network, "honest"), model(Masked(judged.network), "masked")]
    found = transfer(pair, data=tissue, out=tmp_path / "run", **SMALL)
    told = [f for f in found.findings if f.id == "transfer-beats-white-box"]
    assert told and {f.evidence["target"] for f in told} == {"masked"} and told[0].severity == "severe"


def test_what_cannot_be_compared_is_refused(tissue, judged, pair, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="two models or more"):
        transfer(pair[:1], data=tissue, out=out, **SMALL)
    with pytest.raises(ModelError, match="are the same: plain and plain #2"):
        transfer([pair[0], pair[0]], data=tissue, out=out, **SMALL)
    swapped = model(judged.network, "swapped", classes=("tumour", "normal"))
    with pytest.raises(Exception, match="swapped: images and model have the same classes in another order"):
        transfer([pair[0], swapped], data=tissue, out=out, **SMALL)
    with pytest.raises(UsageError, match="does not suit"):
        transfer(pair, data=tissue, out=out, **{**SMALL, "attacks": "noise", "steps": None})
    with pytest.raises(UsageError, match="2 models"):
        transfer(pair, data=tissue, out=out, weights=["a", "b", "c"], **SMALL)


def test_inside_a_region_nothing_changes_elsewhere(done, tissue, pair, tmp_path):
    """Judged by hand: what flips the other model is an attack limited to the middle."""
    plane = torch.zeros(48, 48, dtype=torch.bool)
    plane[12:36, 12:36] = True
    Image.fromarray(plane.numpy().astype("uint8") * 255).save(tmp_path / "middle.png")
    found = transfer(pair, data=tissue, out=tmp_path / "run", region=str(tmp_path / "middle.png"), **SMALL)
    batch, (one, two) = tissue.collect(tissue.spread(40)), pair
    images = attack("pgd", one, batch.images, batch.targets, "linf=4/255", steps=3, early_stop=False, region=plane)
    assert not bool((images != batch.images)[:, :, ~plane].any())
    with torch.no_grad():
        both = is_right(one(batch.images), batch.targets, "classify") & is_right(
            two(batch.images), batch.targets, "classify"
        )
        after = is_right(two(images), batch.targets, "classify")
    limited, free = cell(found, "plain", "scaled").both, cell(done, "plain", "scaled").both
    assert round(limited.value * limited.n) == int((both & ~after).sum()) and limited.value < free.value
    assert found.record["region"] == str(tmp_path / "middle.png")
    assert "inside the region" in (found.path / "transfer.html").read_text()
    with pytest.raises(RunError, match="another run"):
        transfer(pair, data=tissue, out=tmp_path / "run", **SMALL)


@pytest.mark.parametrize("name", ["curve", "fmn", "ddn", "sigma_zero"])
def test_attacks_that_stop_at_the_border_are_refused(name, tissue, pair, tmp_path):
    budget = {"ddn": "l2=1", "sigma_zero": "l0=5%"}.get(name, "linf=4/255")
    with pytest.raises(UsageError, match="does not suit"):
        transfer(pair, data=tissue, out=tmp_path / "run", attacks=name, budgets=[budget])
