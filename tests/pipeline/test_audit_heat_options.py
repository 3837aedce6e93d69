"""Options of an audit on heat maps: default attacks, suites, regions, targets, limits, and what is refused at once."""

import json
import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from spots import CELL, SIDE, Spots, averager, run
from torch import nn

from percuss.core.errors import AttackError, ModelError, NoGradientError, UsageError
from percuss.core.model import Model, ModelInfo
from percuss.pipeline.interface import audit
from percuss.pipeline.plan import CODE_ATTACKS, HEAT_ATTACKS, fitting, make_plan

HERE = Path(__file__).parent
SMALL = {"budgets": ["l2=2"], "checks": "off"}


class Coded(nn.Module):
    """The averager in two halves: its code is the images' means over blocks, which it judges."""

    def __init__(self):
        super().__init__()
        self.judged = nn.Conv2d(3, 1, 2, stride=2)
        with torch.no_grad():
            self.judged.weight.fill_(-5.0)
            self.judged.bias.fill_(39.0)

    def code(self, images):
        return nn.functional.avg_pool2d(images, 2)

    def judge(self, code):
        return self.judged(code)

    def rebuild(self, code, like):
        return nn.functional.interpolate(code, scale_factor=2)

    def forward(self, images):
        return self.judge(self.code(images))


def model(network, task="heatmap", cell=CELL, **more):
    return Model(network, ModelInfo("net", task, ("normal", "tumour"), 3, weights="given", cell=cell, **more))


def plan_of(path):
    return tomllib.loads((path / "plan.toml").read_text())


def areas(results, stored=False):
    return {(p.attack, p.budget): p.auc_pr.value for p in results.heat.points if p.stored == stored}


def test_the_model_decides_which_attacks_are_made_where_none_is_named(tmp_path):
    plan = make_plan(data="d", model="m", budgets=["l2=1"])
    assert fitting(plan, model(Coded())).attacks == CODE_ATTACKS
    assert fitting(plan, averager()).attacks == HEAT_ATTACKS
    given = make_plan(data="d", model="m", attacks=["fgsm"], budgets=["l2=1"])
    assert fitting(given, model(Coded())).attacks == ("fgsm",)
    found = audit(data=Spots(), model=averager(), out=tmp_path / "run", **SMALL)
    assert plan_of(found.path)["attacks"] == list(HEAT_ATTACKS) and "usual" not in plan_of(found.path)
    assert {p.attack for p in found.results.heat.points} == {*HEAT_ATTACKS, "worst"}


def test_a_suite_for_codes_is_run_on_a_network_with_a_code(tmp_path):
    found = audit(
        data=Spots(),
        model=model(Coded()),
        out=tmp_path / "run",
        suite="codesuite",
        effort="quick",
        **SMALL,
    ).results
    assert areas(found)["codesuite", "l2=2"] < 0.6 < areas(found)["noise", "l2=2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"suite": "standard"}, "standard does not attack heat maps.*--suite codesuite"),
        ({"suite": "as_autoattack"}, "does not attack heat maps"),
        ({"attacks": ["layered"]}, "layered does not attack heat maps"),
        ({"attacks": ["pgd", "codesuite"]}, "codesuite does not fit this model.*network with a code"),
        ({"attacks": ["implicit"]}, "implicit does not fit this model.*sparse code"),
    ],
)
def test_attacks_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, options, words):
    with pytest.raises(AttackError, match=words):
        audit(data=Spots(), model=averager(), out=tmp_path / "run", **SMALL, **options)
    assert not (tmp_path / "run").exists()


def test_settings_of_an_attack_that_heat_maps_do_not_get_are_refused(tmp_path):
    with pytest.raises(UsageError, match="settings for an attack that is not run: fgsm.*apgd, pgd, noise"):
        audit(data=Spots(), model=averager(), out=tmp_path / "run", **SMALL, settings={"fgsm": {"target": 0}})


@pytest.mark.parametrize("region", ["mask", "tissue", "file"])
def test_no_pixel_changes_outside_a_region(tmp_path, region):
    inside = np.zeros((SIDE, SIDE), np.uint8)
    inside[:, :12] = 255
    if region == "file":
        Image.fromarray(inside).save(tmp_path / "region.png")
    text = str(tmp_path / "region.png") if region == "file" else region
    found = run(tmp_path / "run", attacks=["pgd"], budgets=["l2=2"], region=text)
    rows = pd.read_parquet(found.path / "rows.parquet")
    kept = rows[rows["image"] != ""]
    images, truth = Spots().tensors()
    for _, row in kept.iterrows():
        number = int(row["id"][4:])
        after = np.asarray(Image.open(found.path / row["image"]), float).transpose(2, 0, 1) / 255
        moved = np.abs(after - images[number].numpy()).max(0) > 1e-6
        where = np.kron(truth[number].numpy() == 1, np.ones((CELL, CELL))) > 0 if region == "mask" else inside > 0
        assert moved.any() and (region == "tissue" or not (moved & ~where).any())
    # Tiles without tumour have no region of their own and are left out, with their reason.
    assert len(kept) == (6 if region == "mask" else 8) == len(Spots().ids) - found.results.data.n_bad
    if region == "mask":
        assert {item["id"] for item in found.results.data.bad} == {"tile3", "tile7"}
        assert "is empty" in found.results.data.bad[0]["reason"]


@pytest.mark.parametrize(("target", "tumour"), [(0, 0), (1, 1)])
def test_a_target_is_wanted_at_every_cell(tmp_path, target, tumour):
    found = audit(
        data=Spots(),
        model=averager(),
        out=tmp_path / "run",
        attacks=["pgd"],
        budgets=["l2=4"],
        checks="off",
        settings={"pgd": {"target": target, "steps": 20}},
    )
    table = pd.read_parquet(found.path / "dense.parquet")
    before, after = (table[table["attack"] == name] for name in ("clean", "pgd"))
    after = after[after["state"] == "float"]
    share = {}
    for name, rows in (("before", before), ("after", after)):
        scores = np.concatenate([np.frombuffer(value, "<f2") for value in rows["scores"]])
        share[name] = float(((scores > 0) == bool(tumour)).mean())
    assert share["after"] > 0.9 and share["after"] > share["before"]


def test_confidence_native_levels_and_the_papers_protocol_run(tmp_path):
    sure = run(tmp_path / "sure", attacks=["pgd"], budgets=["l2=2"], confidence=0.9).results
    native = run(tmp_path / "native", attacks=["pgd"], budgets=["l2=2"], rounding="native").results
    paper = run(tmp_path / "paper", attacks=["pgd"], budgets=["l2=2"], protocol="paper").results
    for found in (sure, native, paper):
        assert areas(found)["pgd", "l2=2"] < 0.6 * found.heat.clean.auc_pr.value
    assert areas(native)["pgd", "l2=2"] == areas(native, stored=True)["pgd", "l2=2"]
    assert "floor-at-clean-error" in {item.id for item in paper.findings}


def test_the_curve_is_told_to_stop_early_and_its_sizes_are_judged_by_auc_pr(tmp_path):
    found = audit(data=Spots(), model=averager(), out=tmp_path / "run", curve="l2=0.5:2:2", checks="off").results
    assert "curve-on-masks" in {item.id for item in found.findings}
    text = next(item.message for item in found.findings if item.id == "curve-on-masks")
    assert "heat map" in text and areas(found)["curve", "l2=2"] < areas(found)["curve", "l2=0.5"]


def test_one_bad_tile_is_left_out_and_named(tmp_path):
    bad = Spots(faults={"tile2": {"target": np.full((SIDE // CELL, SIDE // CELL), 7, np.uint8)}})
    found = run(tmp_path / "run", data=bad, attacks=["fgsm"], budgets=["l2=1"])
    assert found.results.data.n_bad == 1 and found.results.data.bad[0]["id"] == "tile2"
    table = pd.read_csv(found.path / "per_image.csv")
    assert set(table["id"]) == set(Spots().ids) - {"tile2"} and {"clean_dice", "dice", "dice_stored"} <= set(table)
    kept = pd.read_csv(found.path / "images.csv")
    assert len(kept) == 7 and all((found.path / name).exists() for name in kept["file"])


class Broken(nn.Module):
    """NaN at one cell of every tile."""

    def __init__(self):
        super().__init__()
        self.inner = averager().network

    def forward(self, images):
        logits = self.inner(images)
        spoilt = torch.zeros_like(logits)
        spoilt[:, :, 0, 0] = float("nan")
        return logits + spoilt


class Silent(Broken):
    """No gradient comes back."""

    def forward(self, images):
        return self.inner(images.detach())


@pytest.mark.parametrize(
    ("network", "kind", "words"),
    [(Broken, ModelError, "NaN or infin"), (Silent, NoGradientError, "gradient")],
)
def test_networks_that_cannot_be_judged_are_refused_at_once(tmp_path, network, kind, words):
    with pytest.raises(kind, match=words):
        run(tmp_path / "run", model=model(network()), attacks=["pgd"])
    assert not (tmp_path / "run").exists()


def test_a_model_of_another_task_is_refused(tmp_path):
    with pytest.raises(ModelError, match="different tasks: model segment, images heatmap"):
        run(tmp_path / "run", model=model(nn.Conv2d(3, 2, 1), task="segment", cell=1))


def test_what_cannot_be_asked_by_gradient_is_asked_by_questions(tmp_path):
    found = run(tmp_path / "run", model=model(Silent()), attacks=["square"], budgets=["linf=20/255"]).results
    assert "gradient-missing" in {item.id for item in found.findings}


def test_a_label_is_no_thing_of_heat_maps(tmp_path):
    with pytest.raises(Exception, match="only one of several labels can be chosen"):
        run(tmp_path / "run", label="tumour")


KILLED = """
    import os, signal, sys
    sys.path.insert(0, sys.argv[1])
    import torch
    torch.set_num_threads(1)
    from spots import run

    def dies(at):
        # The child is killed at a write; below 0 never.
        ticks, fsync = [0], os.fsync
        child = os.fork()
        if child == 0:
            def tick(handle):
                ticks[0] += 1
                if ticks[0] == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return fsync(handle)

            os.fsync = tick
            run(sys.argv[2])
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    print([dies(at) for at in (4, 25, 40, -1)])
"""


def test_killed_by_the_system_at_any_write_it_ends_with_the_same_numbers(tmp_path):
    whole = run(tmp_path / "whole")
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    words = [sys.executable, str(script), str(HERE), str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert json.loads(done.stdout) == [-signal.SIGKILL] * 3 + [0], done.stderr
    ours, theirs = (json.loads((path / "results.json").read_text()) for path in (tmp_path / "run", whole.path))
    for name in ("heat", "curves", "clean", "sensitivity", "findings", "dense"):
        assert ours[name] == theirs[name], name
    first, second = (pd.read_parquet(path / "dense.parquet") for path in (tmp_path / "run", whole.path))
    pd.testing.assert_frame_equal(first, second)
