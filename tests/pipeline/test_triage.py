"""Triage of a run: exact sensitivities on a linear model, thresholds from another split, no labels, resumed."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from percuss.core.budget import parse_budgets
from percuss.core.errors import DataError, RunError, UsageError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.data.spec import load_data
from percuss.pipeline import triage as module
from percuss.pipeline.interface import audit
from percuss.pipeline.run import Run
from percuss.pipeline.triage import triage
from percuss.pipeline.triage_search import Probe, bisected, log_odds, smallest_sizes

SPLIT = "synthetic:tissue?n=96&size=48&patients=24&mpp=1"


@pytest.fixture(scope="module")
def divided():
    return load_data(SPLIT)


@pytest.fixture(scope="module")
def audited(divided, judged, tmp_path_factory):
    """A run on the split test."""
    out = tmp_path_factory.mktemp("triage") / "run"
    return audit(data=divided, model=judged, out=out, split="test", attacks="noise", budgets="linf=2/255,16/255")


@pytest.fixture(scope="module")
def done(audited, divided, judged, tmp_path_factory):
    """That run, with its triage; not to be changed."""
    path = shutil.copytree(audited.path, tmp_path_factory.mktemp("done") / "run")
    return triage(path, data=divided, model=judged)


@pytest.fixture
def run(audited, tmp_path):
    return Run(shutil.copytree(audited.path, tmp_path / "run"))


@pytest.fixture(scope="module")
def exact(divided, judged):
    """Smallest linf change that alters the decision, where no pixel is cut: the gap over the slope's l1 length."""
    images, _ = divided.tensors()
    start = images[:1].clone().requires_grad_(True)
    logits = judged(start)
    (slope,) = torch.autograd.grad(logits[0, 1] - logits[0, 0], start)
    with torch.no_grad():
        gap = judged(images)
    return dict(zip(divided.ids, ((gap[:, 1] - gap[:, 0]).abs() / slope.abs().sum()).tolist(), strict=True))


def test_sensitivity_is_the_distance_to_another_decision_right_or_wrong(done, exact):
    rows = pd.read_parquet(done.path / "triage.parquet")
    assert set(rows["role"]) == {"judged", "calibration"} and not rows["correct"].all()
    truth = rows["id"].map(exact)
    censored = rows["sensitivity"].isna()
    assert (truth[censored] > 16 / 255 * 0.999).all()
    found, wanted = rows["sensitivity"][~censored], truth[~censored]
    # Never below the true distance (cut pixels only make it longer), and hardly above it, whatever the grid.
    assert (found > wanted * (1 - 1e-4)).all()
    assert np.median(found / wanted) < 1.02 and len(found) > 20
    wrong = ~rows["correct"][~censored]
    assert np.median((found / wanted)[wrong]) < 1.02 and found.is_unique


def test_thresholds_come_from_validation(done, divided):
    rows = pd.read_parquet(done.path / "triage.parquet")
    val, judged = (rows[rows["role"] == role] for role in ("calibration", "judged"))
    assert set(val["id"]) == set(divided.subset(split="val").ids)
    rule, limit = done.record["sensitivity"], done.record["sensitivity"]["threshold"]
    assert rule["calibrated"] == pytest.approx((val["sensitivity"] <= limit).mean())
    assert abs(rule["calibrated"] - 0.2) <= 0.5 / len(val) + 1e-9
    kept = ~(judged["sensitivity"] <= limit)
    assert rule["coverage"]["value"] == pytest.approx(kept.mean())
    assert rule["kept"]["value"] == pytest.approx(judged["correct"][kept].mean())
    assert rule["deferred"]["value"] == pytest.approx(judged["correct"][~kept].mean())
    sure = done.record["confidence"]["threshold"]
    assert (val["confidence"] <= sure + 1e-6).mean() == pytest.approx(done.record["confidence"]["calibrated"])
    for name in ("sensitivity", "confidence"):
        area = done.record[name]["aurc"]
        assert area["low"] < area["value"] < area["high"] and area["n"] == len(judged)
    refer = pd.read_csv(done.path / "refer.csv")
    assert set(refer["id"]) == set(judged["id"][~kept]) and refer["sensitivity"].is_monotonic_increasing
    assert list(refer["confidence"].round(5)) == list(judged.set_index("id")["confidence"][refer["id"]].round(5))


def test_files_and_page(done):
    record = json.loads((done.path / "triage.json").read_text(encoding="utf-8"))
    assert record == json.loads(json.dumps(done.record)) and record["search"]["aim"] == "the model's own decision"
    (table,) = record["tables"]
    assert table["id"] == "table-2" and len(table["rows"][0]) == len(table["columns"])
    page = (done.path / "triage.html").read_text(encoding="utf-8")
    assert record["answer"].split("(")[0].strip() in page and "AURC" in page and "<svg" in page
    assert "http://" not in page and "https://" not in page
    assert not module.RunFolder.existing(done.path).damaged() and not (done.path / "parts").exists()


def test_labels_are_not_asked(done, divided, audited, judged):
    batch = divided.subset(split="test").collect(divided.subset(split="test").ids[:8])
    probe = Probe("curve", {}, tuple(parse_budgets("linf=0.25/255:16/255:9")))
    with torch.no_grad():
        own = judged(batch.images).argmax(1)
    assert (own != batch.targets).any()
    rows = [module.sensitivity_rows(_work(divided, audited, judged), _labelled(batch, t), probe) for t in (0, 1)]
    assert rows[0]["sensitivity"].equals(rows[1]["sensitivity"])


def _work(images, run, model):
    folder = module.RunFolder.existing(run.path)
    plan = module.plan_of(folder, data=None, model=model, options={})
    return module.Work(plan, module.open_images(plan, images), model, torch.device("cpu"), folder)


def _labelled(batch, label):
    return Tensors(batch.ids, batch.images, torch.full_like(batch.targets, label), batch.groups, batch.range)


def test_published_protocol_knows_the_judged_images(run, divided, judged):
    found = triage(run.path, data=divided, model=judged, calibrate="test")
    assert "triage-threshold-on-judged-images" in [item.id for item in found.findings]
    assert found.record["calibrated_on"]["same_as_judged"] and found.found.sensitivity.coverage.value == pytest.approx(
        1 - found.found.sensitivity.calibrated
    )
    assert "published protocol" in (run.path / "triage.html").read_text(encoding="utf-8")


def test_goes_on_where_it_was_and_searches_no_second_time(run, divided, judged, done, monkeypatch):
    first, calls = module.sensitivity_rows, []

    def stopped(*args):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return first(*args)

    monkeypatch.setattr(module, "sensitivity_rows", stopped)
    with pytest.raises(KeyboardInterrupt):
        triage(run.path, data=divided, model=judged)
    monkeypatch.setattr(module, "sensitivity_rows", lambda *args: calls.append(2) or first(*args))
    again = triage(run.path, data=divided, model=judged, batch_size=5)
    assert calls.count(2) == 1  # two portions in all, one was kept
    assert again.found == done.found
    other = triage(run.path, data=divided, model=judged, share=0.4)
    assert calls.count(2) == 1 and len(other.refer) >= len(again.refer)
    # The audit's own files are as they were.
    assert Run(run.path).results == Run(done.path).results


def test_what_cannot_be_done_is_said(run, finished, tissue, divided, judged, tmp_path):
    for share in (0, 1, 20):
        with pytest.raises(UsageError, match="share to refer"):
            triage(run.path, data=divided, model=judged, share=share)
    with pytest.raises(RunError, match="no run"):
        triage(tmp_path, data=divided, model=judged)
    with pytest.raises(DataError, match="judged all images"):
        triage(shutil.copytree(finished.path, tmp_path / "all"), data=tissue, model=judged)
    with pytest.raises(UsageError, match="trained on"):
        triage(run.path, data=divided, model=judged, calibrate="train")
    with pytest.raises(DataError, match="among the judged"):
        triage(run.path, data=divided, model=judged, calibrate=divided.subset(split="test"))
    with pytest.raises(UsageError, match="single size"):
        triage(run.path, data=divided, model=judged, sizes="4/255")
    with pytest.raises(UsageError, match="no sizes under l2"):
        triage(run.path, data=divided, model=judged, norm="l2")
    with pytest.raises(UsageError, match="takes no effort"):
        triage(run.path, data=divided, model=judged, attack="pgd", effort="quick")
    manifest = json.loads((run.path / "manifest.json").read_text(encoding="utf-8"))
    (run.path / "manifest.json").write_text(json.dumps(manifest | {"state": "running"}), encoding="utf-8")
    with pytest.raises(RunError, match="not finished"):
        triage(run.path, data=divided, model=judged)


def test_bisection_finds_the_border_in_few_calls():
    sizes, rng, calls = np.geomspace(0.01, 1, 33), np.random.default_rng(0), []
    border = np.append(np.exp(rng.uniform(np.log(0.005), np.log(2), 60)), [0.01, 1.0])

    def attacked(rows, size):
        calls.extend(rows)
        return np.where(border[rows] <= sizes[size], sizes[size], np.inf)

    found = bisected(attacked, len(border), sizes)
    wanted = np.array([next((size for size in sizes if size >= b), np.inf) for b in border])
    assert np.array_equal(found, wanted)
    assert max(np.bincount(calls)) <= 7  # the largest size, then a halving for each of 32
    # A flip smaller than its size allowed is taken as it is, and shortens the way.
    calls.clear()
    exact = bisected(lambda rows, size: np.where(border[rows] <= sizes[size], border[rows], np.inf), 62, sizes)
    assert np.allclose(exact[border <= 1], border[border <= 1])


def test_pgd_is_bisected_and_agrees_with_the_search(divided, judged):
    images = divided.subset(split="test")
    batch = images.collect(images.ids[:12])
    with torch.no_grad():
        own = judged(batch.images).argmax(1)
    batch = Tensors(batch.ids, batch.images, own, batch.groups, PixelRange())
    sizes = tuple(parse_budgets("linf=0.25/255:16/255:13"))
    one, two = (
        smallest_sizes(judged, batch, Probe(name, settings, sizes), seed=0, batch_size=5)
        for name, settings in (("curve", {}), ("pgd", {"steps": 10}))
    )
    both = np.isfinite(one) & np.isfinite(two)
    assert both.sum() >= 4 and np.isfinite(one).sum() >= np.isfinite(two).sum()
    assert np.allclose(np.log(one[both]), np.log(two[both]), atol=np.log(64) / 12)


def test_several_labels_and_one_logit():
    logits = torch.tensor([[20.0, -30.0], [-1.0, 2.0]])
    assert log_odds(logits, "multilabel").tolist() == [20, 1]
    assert log_odds(torch.tensor([[40.0], [-3.0]]), "classify").tolist() == [40, 3]
    assert torch.allclose(log_odds(logits, "classify"), torch.tensor([50.0, 3.0]).double())
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        net[2].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        net.append(Shift())
    model = Model(net, ModelInfo("x", "multilabel", ("a", "b"), 1))
    images = torch.full((2, 1, 4, 4), 0.5) + torch.tensor([0.02, -0.01]).view(2, 1, 1, 1)
    targets = (model(images) > 0).float().detach()
    found = smallest_sizes(
        model,
        Tensors(["0", "1"], images, targets, [None, None], PixelRange()),
        Probe("curve", {}, tuple(parse_budgets("linf=0.001:0.1:30"))),
        seed=0,
        batch_size=2,
    )
    # The second label's border lies at 0.5, the first's at 0.45.
    assert found[0] == pytest.approx(0.02, rel=0.2) and found[1] == pytest.approx(0.01, rel=0.2)


class Shift(nn.Module):
    """Moves both borders."""

    def forward(self, logits):
        return logits + torch.tensor([-0.45, 0.5])
