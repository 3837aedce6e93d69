"""What is finished and asked for again is read, not computed; what has changed since, or is asked differently, is."""

import json
import shutil

import pytest
import torch
from torch import nn

from percuss.core.model import Model
from percuss.data.spec import load_data
from percuss.pipeline import explain as explaining
from percuss.pipeline import survive as storing
from percuss.pipeline import triage as referring
from percuss.pipeline.explain import explain_run
from percuss.pipeline.interface import audit
from percuss.pipeline.progress import Progress
from percuss.pipeline.survive import survive
from percuss.pipeline.transfer import transfer
from percuss.pipeline.triage import triage
from percuss.pipeline.universal import universal

SPLIT = "synthetic:tissue?n=64&size=48&patients=16&mpp=1"


class Said(Progress):
    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


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
def images():
    return load_data(SPLIT)


@pytest.fixture(scope="module")
def model(judged):
    return Model(Mapped(judged.network), judged.info)


@pytest.fixture(scope="module")
def audited(images, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("again") / "run"
    return audit(data=images, model=model, out=out, split="test", attacks="fgsm", budgets="linf=2/255,16/255")


def state(path):
    """Content and time of every file."""
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.rglob("*") if file.is_file()}


ADDITIONS = {
    "explain": (
        explain_run,
        {"what": ("saliency",), "images": 3},
        {"images": 2},
        explaining,
        "_compute",
        "explain.html",
    ),
    "survive": (survive, {"formats": ["png", "jpeg90"]}, {"formats": ["png"]}, storing, "_compute", "report.html"),
    "triage": (triage, {"sizes": "0.01:0.1:3"}, {"share": 0.3}, referring, "_judged", "triage.html"),
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_to_a_run_is_read_when_asked_for_again(name, audited, images, model, tmp_path, monkeypatch):
    call, options, other, module, work, page = ADDITIONS[name]
    path, said, calls = shutil.copytree(audited.path, tmp_path / "run"), Said(), []
    given = {"data": images, "model": model, "progress": said}
    real = getattr(module, work)
    monkeypatch.setattr(module, work, lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    first = call(path, **options, **given)
    before = state(path)
    said.lines.clear()
    again = call(path, **options, **given)
    assert len(calls) == 1 and state(path) == before
    assert any(str(path / page) in line and "nothing to compute" in line for line in said.lines)
    for part in ("record", "found", "findings", "results"):
        if hasattr(first, part):
            assert getattr(first, part) == getattr(again, part)
    # Others of its options, then the first ones again: both are computed, since the files hold one of them.
    call(path, **(options | other), **given)
    call(path, **options, **given)
    assert len(calls) == 3
    # A file of it that was changed since is made anew.
    (path / page).write_text("gone")
    call(path, **options, **given)
    assert len(calls) == 4 and (path / page).read_text() != "gone"


def test_an_addition_stopped_before_it_was_listed_is_made_anew(audited, images, model, tmp_path, monkeypatch):
    path = shutil.copytree(audited.path, tmp_path / "run")
    given = {"data": images, "model": model, "sizes": "0.01:0.1:3"}

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(referring.RunFolder, "finish", die)
    with pytest.raises(KeyboardInterrupt):
        triage(path, **given)
    monkeypatch.undo()
    assert (path / "triage.json").exists()
    found = triage(path, **given)
    listed = json.loads((path / "manifest.json").read_text())["files"]
    assert {"triage.json", "triage.html", "refer.csv"} <= set(listed) and found.record["mark"]


def test_other_checkpoints_make_another_landscape(audited, images, model, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    states, calls = tmp_path / "states", []
    states.mkdir()
    rng = torch.Generator().manual_seed(0)
    for number in range(3):
        shaken = {
            k: (v + 0.1 * torch.randn(v.shape, generator=rng)).contiguous()
            for k, v in model.network.state_dict().items()
        }
        save_file(shaken, states / f"epoch-{number}.safetensors")
    path = shutil.copytree(audited.path, tmp_path / "run")
    real = explaining._compute
    monkeypatch.setattr(explaining, "_compute", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    for _ in range(2):
        explain_run(path, data=images, model=model, what=("landscape",), points=3, samples=4, checkpoints=states)
    assert len(calls) == 1
    (states / "epoch-2.safetensors").unlink()
    explain_run(path, data=images, model=model, what=("landscape",), points=3, samples=4, checkpoints=states)
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["universal", "transfer"])
def test_a_run_of_its_own_is_read_when_asked_for_again(name, images, model, judged, tmp_path):
    def call(progress=None):
        given = {"data": images, "out": tmp_path / "run", "progress": progress}
        if name == "universal":
            return universal(model, budget="linf=8/255", epochs=1, **given)
        return transfer([model, judged], budgets="linf=4/255", steps=2, split="test", **given)

    first, said = call(), Said()
    before = state(tmp_path / "run")
    assert call(said).record == first.record and state(tmp_path / "run") == before
    assert any("nothing to compute" in line for line in said.lines)
