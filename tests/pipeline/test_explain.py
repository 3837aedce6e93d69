"""Explanations of a finished audit: files, numbers against the functions, resumed, planted faults."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from percuss.core.errors import NoGradientError, RunError, UsageError
from percuss.core.model import Model
from percuss.data.region import tissue as stained
from percuss.explain.drift import drift
from percuss.explain.saliency import saliency
from percuss.pipeline import explain_parts, explain_units
from percuss.pipeline.explain import explain_run
from percuss.pipeline.interface import audit
from percuss.pipeline.run import Run
from percuss.store.folder import RunFolder


class Mapped(nn.Module):
    """The small linear model behind a layer that has a map."""

    def __init__(self, inner):
        super().__init__()
        self.map, self.inner = nn.Conv2d(3, 3, 1, bias=False), inner
        with torch.no_grad():
            self.map.weight.copy_(torch.eye(3).view(3, 3, 1, 1))

    def forward(self, images):
        return self.inner(self.map(images))


@pytest.fixture(scope="module")
def mapped(judged):
    return Model(Mapped(judged.network), judged.info)


@pytest.fixture(scope="module")
def audited(tissue, mapped, tmp_path_factory):
    out = tmp_path_factory.mktemp("explained") / "run"
    given = {"attacks": "pgd", "budgets": ["linf=8/255"], "split": "all", "steps": 4, "limit": 24}
    return audit(data=tissue, model=mapped, out=out, **given)


@pytest.fixture(scope="module")
def explained(audited, tissue, mapped, tmp_path_factory):
    """Everything explained once, with a way of weights."""
    path, states = tmp_path_factory.mktemp("all"), tmp_path_factory.mktemp("states")
    rng = torch.Generator().manual_seed(0)
    for number in (10, 2, 1):
        state = {
            name: (value + 0.03 * number * torch.randn(value.shape, generator=rng)).contiguous()
            for name, value in mapped.network.state_dict().items()
        }
        save_file(state, states / f"epoch-{number}.safetensors")
    run = Run(shutil.copytree(audited.path, path / "run"))
    options = {"images": 10, "checkpoints": states, "points": 5, "samples": 12}
    return explain_run(run.path, data=tissue, model=mapped, **options)


def test_whether_the_change_shows_the_image_is_asked_for(audited, tissue, mapped, tmp_path):
    run = Run(shutil.copytree(audited.path, tmp_path / "run"))
    found = explain_run(run.path, data=tissue, model=mapped, what=("perturbation",), images=6)
    kinds = {item["kind"]: item for item in found.record["maps"]["drift"] if item["measure"] == "rank"}
    assert set(kinds) == {"perturbation"} and abs(kinds["perturbation"]["noise"]["value"]) < 0.2
    page = found.page.read_text(encoding="utf-8")
    for words in ("Size of the change: rank correlation with the edges", "edges of the image", "size of noise like it"):
        assert words in page, words


def test_everything_is_written_and_listed(explained, mapped):
    record = json.loads((explained.path / "explain.json").read_text(encoding="utf-8"))
    assert record == explained.record and record["format"] == "percuss-explain-1"
    assert len(record["images"]) == 10 and record["flips"] >= 10 and record["maps"]["layer"] == "map"
    assert {(item["kind"], item["measure"]) for item in record["maps"]["drift"]} == {
        (kind, measure) for kind in ("saliency", "gradcam") for measure in ("rank", "overlap", "shift")
    }
    page = explained.page.read_text(encoding="utf-8")
    for words in ("What the model looks at", "Grad-CAM after the attack", "fitted on clean", "principal components"):
        assert words.lower() in page.lower(), words
    assert "://" not in page
    folder = RunFolder.existing(explained.path)
    assert not folder.damaged() and "explain.json" in folder.manifest["files"]
    assert not (explained.path / "parts").exists()


def test_a_linear_models_map_does_not_move(explained):
    """Its gradient is its weights wherever it is asked: exactly no drift, under attack and noise alike."""
    drifts = {item["measure"]: item for item in explained.record["maps"]["drift"] if item["kind"] == "saliency"}
    for side in ("attack", "noise"):
        assert drifts["rank"][side]["value"] == drifts["overlap"][side]["value"] == 1
        assert drifts["shift"][side]["value"] == 0
    assert drifts["rank"]["difference"]["value"] == 0 and drifts["rank"]["attack"]["n"] == 10


def test_kept_maps_are_those_of_the_images(explained, tissue, mapped):
    rows = pd.read_parquet(explained.path / "rows.parquet").set_index("id")
    name = explained.record["images"][0]
    files = list((explained.path / "explain" / "gradcam").rglob("*.npz"))
    assert len(files) == 10
    with np.load(explained.path / "explain" / "saliency" / "linf" / f"{name.replace('/', '__')}.npz") as kept:
        case = tissue.read(name)
        wanted = saliency(mapped, case.unit()[None], torch.tensor([case.target]))
        assert np.allclose(kept["before"], wanted[0])
        assert drift(torch.tensor(kept["before"])[None], torch.tensor(kept["after"])[None]).rank[0] == 1
    assert name in rows.index


def test_the_plane_holds_clean_and_attacked_and_the_way_ends_in_a_flip(explained):
    plane, table = explained.record["plane"], pd.read_csv(explained.path / "explain" / "plane.csv")
    assert (
        plane["n_clean"] == 24 == (table["kind"] == "clean").sum() and plane["n_attacked"] == explained.record["flips"]
    )
    assert plane["width"] == 48 and plane["layer"] == "input of inner.last"
    margin = plane["way"]["margin"]
    assert len(margin) == len(plane["way"]["places"]) == 21 and margin[0] > 0 > margin[-1]


def test_the_landscape_follows_the_weights_in_order_of_their_numbers(explained):
    found = explained.record["landscape"]
    assert found["kind"] == "trajectory" and found["samples"] == 12 and len(found["path"]) == 3
    far = [np.hypot(*place) for place in found["path"]]
    assert far[0] < far[1] < far[2]  # epoch-1, epoch-2, epoch-10


def test_only_clean_images_reach_the_fit(audited, tissue, mapped, tmp_path, monkeypatch):
    run, seen = shutil.copytree(audited.path, tmp_path / "run"), []
    fit = explain_parts.fit_embedding
    monkeypatch.setattr(
        explain_parts, "fit_embedding", lambda values, **rest: seen.append(values) or fit(values, **rest)
    )
    explain_run(run, data=tissue, model=mapped, what=("umap",))
    from percuss.explain.features import features

    rows = pd.read_parquet(run / "clean.parquet")
    wanted = features(mapped, torch.stack([tissue.read(name).unit() for name in rows["id"]])).numpy()
    assert len(seen) == 1 and np.allclose(np.sort(seen[0], 0), np.sort(wanted, 0))


def test_a_stopped_explanation_goes_on_where_it_was(audited, tissue, mapped, tmp_path, monkeypatch):
    run, calls, first = shutil.copytree(audited.path, tmp_path / "run"), [], explain_units._maps

    def stopped(*args):
        if len(calls) == 6:  # clean, attacked and three noises make one piece
            raise KeyboardInterrupt
        calls.append(1)
        return first(*args)

    monkeypatch.setattr(explain_units, "_maps", stopped)
    with pytest.raises(KeyboardInterrupt):
        explain_run(run, data=tissue, model=mapped, what=("saliency",), images=10)
    calls.clear()
    monkeypatch.setattr(explain_units, "_maps", lambda *args: calls.append(1) or first(*args))
    done = explain_run(run, data=tissue, model=mapped, what=("saliency",), images=10)
    assert len(calls) == 5 and len(done.record["images"]) == 10


def test_what_cannot_be_shown_is_said(run, tissue, judged):
    done = explain_run(run, data=tissue, model=judged, what=("landscape",), points=3, samples=8)
    assert [item["id"] for item in done.record["findings"]] == ["no-trajectory"]
    assert done.record["landscape"]["kind"] == "random" and done.record["plane"] is None
    done = explain_run(run, data=tissue, model=judged, images=2, points=3, samples=8)
    assert any("Grad-CAM is left out" in note for note in done.record["notes"])
    with pytest.raises(UsageError, match="did not try"):
        explain_run(run, data=tissue, model=judged, norm="l1")
    with pytest.raises(UsageError, match="no such explanation"):
        explain_run(run, data=tissue, model=judged, what=("salience",))
    with pytest.raises(UsageError, match="no checkpoints"):
        explain_run(run, data=tissue, model=judged, what=("landscape",), checkpoints=run / "images")


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished.path, tmp_path / "run")


def test_models_cut_off_or_other_are_refused(audited, tissue, mapped, tmp_path, monkeypatch):
    run = shutil.copytree(audited.path, tmp_path / "run")
    with pytest.raises(RunError, match="not that of the run"):
        explain_run(run, data=tissue, model=Model(mapped.network.inner, mapped.info), what=("saliency",))
    forward = Model.forward
    monkeypatch.setattr(Model, "forward", lambda self, images: forward(self, images).detach())
    with pytest.raises(NoGradientError, match="no gradient"):
        explain_run(run, data=tissue, model=mapped, what=("saliency",))


def test_a_run_in_a_region(tissue, mapped, tmp_path, monkeypatch):
    """The way of the attack and the noise beside it stay inside, as the run's own images do."""
    given = {"attacks": "pgd", "budgets": ["linf=16/255"], "split": "all", "steps": 4, "limit": 24}
    run = audit(data=tissue, model=mapped, out=tmp_path / "run", region="tissue", **given)
    ways, shown = [], []
    way_of, noise_of = explain_units.attack_way, explain_units.same_size_noise

    def watched_way(work, row, **more):
        ways.append(way_of(work, row, **more)[0])
        return way_of(work, row, **more)

    def watched_noise(clean, attacked, rng, *, region):
        shown.extend((clean, changed) for changed in (attacked, noise_of(clean, attacked, rng, region=region)))
        return shown[-1][1]

    monkeypatch.setattr(explain_parts, "attack_way", watched_way)
    monkeypatch.setattr(explain_units, "same_size_noise", watched_noise)
    found = explain_run(run.path, data=tissue, model=mapped, images=6, what=("saliency", "umap"))
    assert len(found.record["images"]) == 6 and len(shown) >= 2 and ways
    for clean, changed in [*shown, *((way[:1].expand_as(way), way) for way in ways)]:
        moved = (clean != changed).any(1)
        assert bool(moved.any()) and not bool((moved & ~stained(clean)).any())
