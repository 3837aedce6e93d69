"""Audits of a sparse code: what the attack on the code leaves beside those through it, and codes without a unit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from spots import CELL, Spots, run

from percuss.core.model import Model, ModelInfo
from percuss.testing.codes import PatchCode


def coder():
    """Spots are seen: the head is fitted to them on the code."""
    torch.manual_seed(0)
    network = PatchCode(side=CELL, size=0.1)
    images, truth = Spots().tensors()
    with torch.no_grad():
        code = network.code(images)
        inputs = torch.cat([code, torch.ones_like(code[:, :1])], 1).movedim(1, -1).flatten(0, 2).double()
        judged = truth.flatten() != 255
        wanted = torch.where(truth.flatten()[judged] == 1, 3.0, -3.0).double()
        found = torch.linalg.lstsq(inputs[judged], wanted).solution
        network.head.copy_(found[:-1])
        network.shift.copy_(found[-1])
    return Model(network, ModelInfo("codes", "heatmap", ("normal", "tumour"), 3, cell=CELL))


ATTACKS = ("sparse_code", "implicit", "one_step", "code_noise")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    settings = {"sparse_code": {"steps": 20}, "implicit": {"steps": 10}, "one_step": {"steps": 5}}
    folder = tmp_path_factory.mktemp("codes") / "run"
    return run(
        folder, model=coder(), attacks=ATTACKS, budgets=("l2=1",), settings=settings | {"code_noise": {"draws": 2}}
    )


def test_the_report_says_what_the_attack_on_the_code_overstates(finished):
    said = [finding for finding in finished.results.findings if finding.id.startswith("code-")]
    points = {p.attack: p.auc_pr.value for p in finished.results.heat.points if not p.stored}
    assert len(said) == 1 and said[0].evidence["on_code"] == points["sparse_code"]
    assert said[0].evidence["through"] == min(points["implicit"], points["one_step"])


def test_the_control_is_not_the_worst(finished):
    points = {p.attack: p.auc_pr.value for p in finished.results.heat.points if not p.stored}
    real = [value for name, value in points.items() if name not in ("code_noise", "worst")]
    assert points["worst"] <= min(real) + 1e-9 and points["code_noise"] > points["worst"]


class OneFlat(Spots):
    """The last tile is of one colour, so that no unit answers to it."""

    def read(self, case_id):
        case = super().read(case_id)
        return replace(case, pixels=np.full_like(case.pixels, 128)) if case_id == "tile7" else case

    def subset(self, split=None, ids=None):
        return OneFlat(entries=super().subset(split, ids).entries)


def test_codes_without_an_active_unit_are_a_finding(tmp_path):
    settings = {"sparse_code": {"steps": 2}}
    chosen = {"attacks": ("sparse_code", "code_noise"), "budgets": ("l2=1",), "settings": settings}
    done = run(tmp_path / "run", OneFlat(), coder(), **chosen)
    (found,) = [finding for finding in done.results.findings if finding.id == "empty-code"]
    assert found.evidence == {"images": 1, "ids": ["tile7"]} and "first tile7" in found.message
