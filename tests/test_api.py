"""The Python interface beside the commands."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import percuss
from percuss.core.errors import PercussError

TISSUE = "synthetic:tissue?n=24&size=32&patients=4&mpp=1.3"


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 2))


def test_names_and_version():
    assert {"load_data", "load_model", "attack", "audit", "Run", "__version__"} <= set(dir(percuss))
    assert percuss.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'atack'"):
        percuss.atack  # noqa: B018


@pytest.mark.parametrize("code", ["import percuss", "from percuss.cli.app import app"])
def test_importing_loads_no_heavy_library(code):
    script = f"{code}\nimport sys\nprint([m for m in ('torch', 'timm', 'pandas', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_data_model_and_attack_on_tensors():
    data = percuss.load_data(TISSUE, split="test")
    images, targets = data.tensors(limit=4)
    model = percuss.load_model(network(), task="classify", classes=data.classes)
    assert model(images).shape == (len(images), 2)
    attacked = percuss.attack("pgd", model, images, targets, "linf=2/255", seed=1, steps=3)
    assert attacked.shape == images.shape and float((attacked - images).abs().max()) <= 2 / 255 + 1e-6
    assert attacked.equal(percuss.attack("pgd", model, images, targets, "linf=2/255", seed=1, steps=3))


def test_audit_of_a_module_gives_rows_results_and_report(tmp_path):
    run = percuss.audit(
        data=TISSUE, model=network(), out=tmp_path / "run", attacks=["fgsm"], budgets=["linf=1/255,8/255"]
    )
    assert isinstance(run, percuss.Run) and run.results.data.split == "test"
    assert set(run.rows["attack"]) == {"fgsm"} and run.report.read_text().startswith("<!")
    opened = percuss.Run(tmp_path / "run")
    assert opened.rows.equals(run.rows) and "<table>" in opened._repr_html_()


def test_unknown_option_names_the_nearest(tmp_path):
    with pytest.raises(PercussError, match="unknown option: atacks. Allowed: attacks"):
        percuss.audit(data=TISSUE, model=network(), out=tmp_path / "run", atacks="pgd")
