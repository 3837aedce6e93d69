"""The Python interface beside the commands."""

import subprocess
import sys

import pandas as pd
import pytest
import torch
from torch import nn

import percuss
from percuss.core.errors import DataError, PercussError

TISSUE = "synthetic:tissue?n=24&size=32&patients=4&mpp=1.3"


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 2))


def test_names_and_version():
    assert {"load_data", "load_model", "attack", "audit", "curve", "smallest", "compare", "Run", "__version__"} <= set(
        dir(percuss)
    )
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


def test_training_and_hardening(tmp_path):
    spec = "synthetic:tissue?n=32&size=32&patients=8&mpp=1.3"
    options = {"data": spec, "batch_size": 8, "threads": 1, "device": "cpu"}
    made = percuss.train(model="timm:resnet10t", out=tmp_path / "model", epochs=1, **options)
    assert (made.path / "training.json").exists() and "defence" not in made.record
    hard = percuss.harden(
        model=made.path,
        defence="pgd",
        out=tmp_path / "hard",
        budget="linf=1/255",
        steps=2,
        ratio=0.25,
        epochs=1,
        **options,
    )
    told = hard.record["defence"]
    assert (told["name"], told["budget"], told["settings"]["steps"]) == ("pgd", "linf=1/255", 2)
    assert told["ratio_used"] == pytest.approx(0.25, abs=0.03) and set(hard.record["robust"]) == {"val", "test"}
    with pytest.raises(PercussError, match=r"unknown option: epoch. Allowed: epochs"):
        percuss.train(model="timm:resnet10t", out=tmp_path / "no", epoch=1, data=spec)
    with pytest.raises(PercussError, match=r"unknown option: ration. Allowed: ratio"):
        percuss.harden(model=made.path, defence="pgd", out=tmp_path / "no", ration=1, data=spec)
    with pytest.raises(PercussError, match=r"unknown defence: pgdd. Allowed: pgd"):
        percuss.harden(model=made.path, defence="pgdd", out=tmp_path / "no", data=spec)


def test_unknown_option_names_the_nearest(tmp_path):
    with pytest.raises(PercussError, match="unknown option: atacks. Allowed: attacks"):
        percuss.audit(data=TISSUE, model=network(), out=tmp_path / "run", atacks="pgd")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (x * float("nan"), y), "images cannot be used: NaN or infinite values"),
        (lambda x, y: (x * 255, y), r"values from .* to .*Allowed: values in \[0, 1\]"),
        (lambda x, y: (x[0], y), r"images cannot be used: torch.float32 \(3, 32, 32\)"),
        (lambda x, y: (x.numpy(), y), "images cannot be used: ndarray"),
        (lambda x, y: ((255 * x).byte(), y), "images cannot be used: torch.uint8"),
        (lambda x, y: (x, y[:1]), r"targets cannot be used: \(1,\)"),
        (lambda x, y: (x, y + 7), "targets cannot be used: torch.int64 .*Allowed: whole class indices .* from 0 to 1"),
        (lambda x, y: (x, y.float()), "targets cannot be used: torch.float32"),
        (lambda x, y: (x, torch.full((len(y), 2), 0.5)), "targets cannot be used"),
    ],
)
def test_tensors_that_cannot_be_attacked_are_named(change, words):
    images, targets = percuss.load_data(TISSUE).tensors(limit=4)
    model = percuss.load_model(network(), task="classify", classes=["a", "b"])
    images, targets = change(images, targets)
    with pytest.raises(PercussError, match=f"{words}.*Next: ") as caught:
        percuss.attack("pgd", model, images, targets, "linf=2/255")
    assert isinstance(caught.value, DataError)


def test_labels_of_many_must_be_0_or_1():
    images = percuss.load_data(TISSUE).tensors(limit=3)[0]
    with pytest.raises(DataError, match=r"0/1 labels \[N, 2\]"):
        percuss.attack("pgd", network(), images, torch.full((3, 2), 0.5), "linf=2/255")
    assert percuss.attack("fgsm", network(), images, torch.ones(3, 2), "linf=2/255").shape == images.shape


def test_rows_are_a_table_of_pandas_and_the_display_has_the_verdict(tmp_path):
    data = percuss.load_data(TISSUE, split="test")
    model = percuss.load_model(network(), task="classify", classes=data.classes)
    run = percuss.audit(data=data, model=model, out=tmp_path / "run", attacks="fgsm", budgets="linf=1/255,8/255")
    assert isinstance(run.rows, pd.DataFrame) and len(run.rows) == 2 * len(data)
    shown = run._repr_html_()
    assert "Without any attack it is right on" in shown and "<td>linf=8/255</td>" in shown and "report.html" in shown
