"""A small linear model that is right on most synthetic patches, and an audit of it."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from percuss.core.model import Model, ModelInfo
from percuss.data.spec import load_data
from percuss.pipeline.interface import audit

sys.path.insert(0, str(Path(__file__).parent))

TISSUE = "synthetic:tissue?n=64&size=48&patients=8&mpp=1"
SMALL = {"attacks": "pgd,noise", "budgets": ["linf=1/255,4/255", "l2=0.5"], "split": "all", "steps": 4}


class Colour(nn.Module):
    """Mean colours of sixteen squares, weighed."""

    def __init__(self):
        super().__init__()
        self.pool, self.last = nn.AdaptiveAvgPool2d(4), nn.Linear(48, 2)

    def forward(self, images):
        return self.last(self.pool(images).flatten(1))


def fitted(images, targets):
    net = Colour()
    with torch.no_grad():
        found = net.pool(images).flatten(1)
        centre = found.mean(0)
        inner = (found - centre).T @ (found - centre) + 0.05 * torch.eye(found.shape[1])
        line = torch.linalg.solve(inner, (found - centre).T @ (2.0 * targets - 1))
        net.last.weight.copy_(torch.stack([-line, line]))
        net.last.bias.copy_(torch.stack([centre @ line, -centre @ line]))
    return net


@pytest.fixture(name="fitted", scope="session")
def fitted_fixture():
    """``fitted`` for tests: a conftest of another folder may have its name when it is imported."""
    return fitted


@pytest.fixture(scope="session")
def tissue():
    return load_data(TISSUE)


@pytest.fixture(scope="session")
def judged(tissue):
    net = fitted(*tissue.tensors())
    return Model(net, ModelInfo("colour", "classify", ("normal", "tumour"), 3, weights="given"))


@pytest.fixture
def small(tissue, judged):
    """Runs a small audit; options replace its usual ones."""

    def run(out, data=tissue, model=judged, **options):
        given = SMALL | options
        if given["attacks"] == "fgsm":
            given["steps"] = None
        return audit(data=data, model=model, out=out, **given)

    return run


@pytest.fixture(scope="session")
def finished(tissue, judged, tmp_path_factory):
    """A finished small audit; not to be changed."""
    return audit(data=tissue, model=judged, out=tmp_path_factory.mktemp("finished") / "run", **SMALL)
