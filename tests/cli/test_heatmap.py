import json
import textwrap

import pytest

pytest.importorskip("tiffslide", reason="the extra wsi is not installed")

FACTORY = """
    import torch
    from torch import nn


    class Local(nn.Module):
        cell = 4

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([0.0, -20.0, 0.0]).view(1, 3, 1, 1))

        def forward(self, images):
            return (nn.functional.avg_pool2d(images, 4) * self.weight).sum(1, keepdim=True) + 11


    def local():
        return Local()
"""


@pytest.fixture
def local(tmp_path, monkeypatch):
    (tmp_path / "local_heat.py").write_text(textwrap.dedent(FACTORY))
    monkeypatch.syspath_prepend(tmp_path)
    return "factory:local_heat:local"


def test_drawn_slides_maps_page_and_json(percuss, local, tmp_path):
    call = ("heatmap", "synthetic:slide?seed=1&side=512", "synthetic:slide?side=256&tumours=0", "--model", local)
    call += ("--allow-code", "--out", tmp_path / "run", "--mpp", "1", "--size", "64", "--tissue", "all")
    call += ("--attack", "pgd", "--budget", "l2=2,4", "--steps", "2")
    done = percuss(*call)
    assert done.exit_code == 0, done.stderr
    assert "AUC of slides" in done.stdout and "page: " in done.stdout and "own-map" not in done.stdout
    name = "drawn_seed1_side512_tumours1"
    for file in ("clean.tif", "clean.png", "pgd-l2=4.tif", "pgd-l2=2.png"):
        assert (tmp_path / "run" / name / file).exists()
    done = percuss(*call, "--json", "--quiet")
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "run" / "results.json").read_text())
    assert [slide["slide"] for slide in told["slides"]] == ["drawn_seed0_side256_tumours0", name]
    assert {slide["truth"] for slide in told["slides"]} == {"normal", "outlines"}
    done = percuss(*call, "--size", "66")
    assert done.exit_code == 2 and "--size 66" in done.stderr


def test_what_is_not_said_is_asked_for(percuss, local, tmp_path):
    call = ("heatmap", tmp_path / "none.svs", "--model", local, "--allow-code", "--out", tmp_path / "run")
    done = percuss(*call)
    assert done.exit_code == 2 and "--mpp" in done.stderr
    done = percuss(*call, "--mpp", "1", "--size", "64")
    assert done.exit_code == 2 and "there is no such slide" in done.stderr
