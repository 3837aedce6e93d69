"""Broken defences set the alarms off; honest models, adversarially trained ones too, do not."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from percuss.attacks.alarms.probe import Probe, means_of
from percuss.attacks.alarms.run import IDS, alarm_findings, run_alarms
from percuss.attacks.alarms.stored import stored_images_hold
from percuss.core.errors import AttackError, RunError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.outcome import Finding
from percuss.testing.broken import BROKEN

SIDE, SEEDS = 16, (0, 1, 2)


def patterns(count, seed):
    """Stripes across or along, of random phase and contrast, under noise; images on 255 levels and classes."""
    draw = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % 2
    phase = torch.rand(count, 1, 1, generator=draw) * 6.28
    wave = torch.sin(torch.arange(SIDE) * 1.1 + phase).expand(count, SIDE, SIDE)
    wave = torch.where(label.bool()[:, None, None], wave, wave.transpose(1, 2))
    contrast = 0.08 + 0.15 * torch.rand(count, 1, 1, generator=draw)
    grey = 0.5 + contrast * wave + 0.08 * torch.randn(count, SIDE, SIDE, generator=draw)
    colour = grey[:, None] + 0.03 * torch.randn(count, 3, SIDE, SIDE, generator=draw)
    return (colour.clamp(0, 1) * 255).round() / 255, label


def train(seed, eps=0.0):
    """A small convolutional network; with ``eps`` on images of four PGD steps (Madry et al. 2018)."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 2),
    )
    images, labels = patterns(384, seed + 100)
    steps = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(5 if eps == 0 else 8):
        for part in torch.randperm(len(images)).split(64):
            shown = images[part]
            for _ in range(4 if eps else 0):
                point = shown.detach().requires_grad_(True)
                (slope,) = torch.autograd.grad(nn.functional.cross_entropy(network(point), labels[part]), point)
                shown = images[part] + (point + eps / 2 * slope.sign() - images[part]).clamp(-eps, eps)
                shown = shown.clamp(0, 1).detach()
            steps.zero_grad()
            nn.functional.cross_entropy(network(shown), labels[part]).backward()
            steps.step()
    return network.eval()


def judged(network):
    return Model(network, ModelInfo("test", "classify", ("across", "along"), 3, weights="trained"))


def batch(seed=0, count=32):
    images, labels = patterns(count, seed + 1000)
    return Tensors([f"i{i}" for i in range(count)], images, labels, [None] * count, PixelRange())


@pytest.fixture(scope="module")
def network():
    return train(0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("eps", [0.0, 8 / 255], ids=["plain", "adversarial"])
def test_no_alarm_on_an_honest_model(seed, eps):
    model = judged(train(seed, eps))
    records = run_alarms(model, batch(seed), seed=seed)
    assert [record["message"] for record in records if record["flagged"]] == []
    assert len(records) == 16 and records == json.loads(json.dumps(records))


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_defence_is_flagged(network, name):
    wrap, wanted = BROKEN[name]
    records = run_alarms(judged(wrap(network)), batch(count=16), effort="quick")
    found = {finding.id: finding.severity for finding in alarm_findings(records)}
    assert set(wanted) <= set(found) <= set(IDS), found


def test_alarms_leave_the_model_and_the_random_state_alone(network):
    model = judged(network)
    model.train()
    before, drawn = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    first = run_alarms(model, batch(count=8), effort="quick")
    assert model.training and all(part.requires_grad for part in model.parameters())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again = run_alarms(model, batch(count=8), effort="quick", batch_size=3)
    assert [(item["id"], item["flagged"]) for item in again] == [(item["id"], item["flagged"]) for item in first]


def test_no_image_right_gives_no_record(network):
    wrong = batch(count=8)
    wrong.targets = 1 - wrong.targets
    model = judged(network)
    right = run_alarms(model, wrong, effort="quick", most=64)
    assert len(right) in (0, 16)  # nothing, or what the few images say that were wrong before
    wrong.targets = 1 - model(wrong.images).argmax(1)
    assert run_alarms(model, wrong) == []


@pytest.mark.parametrize(("task", "outputs"), [("classify", 1), ("classify", 5), ("multilabel", 3)])
def test_every_task_can_be_checked(task, outputs):
    torch.manual_seed(1)
    body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, outputs))
    classes = ("a", "b") if outputs == 1 else tuple("abcde"[:outputs])
    model, given = Model(body, ModelInfo("test", task, classes, 3)), batch(count=12)
    logits = model(given.images)
    given.targets = (logits > 0).float() if task == "multilabel" else (logits[:, 0] > 0).long()
    if outputs == 5:
        given.targets = logits.argmax(1)
    records = run_alarms(model, given, effort="quick")
    assert len(records) == 16 and not any(record["id"] == "check-failed" for record in records)


def test_findings_keep_the_graver_of_one_id():
    known = [Finding("zero-gradients", "warning", "few"), Finding("few-images", "warning", "12")]
    record = {"id": "zero-gradients", "flagged": True, "severity": "severe", "message": "all", "evidence": {"n": 3}}
    found = alarm_findings([record, record | {"id": "noisy-loss", "flagged": False}], known)
    assert [(item.id, item.severity) for item in found] == [("zero-gradients", "severe"), ("few-images", "warning")]
    assert alarm_findings([record | {"severity": "info"}], known)[0].message == "few"


def test_unknown_effort_is_named(network):
    with pytest.raises(AttackError, match="quick, standard, thorough"):
        run_alarms(judged(network), batch(count=2), effort="huge")


def test_a_check_that_cannot_be_made_is_a_doubt(network):
    class Fragile(nn.Module):
        def forward(self, images):
            if images.shape[0] == 1:
                raise ValueError("no single images")
            return network(images)

    found = {record["id"]: record for record in run_alarms(judged(Fragile()), batch(count=8), effort="quick")}
    assert found["check-failed"]["flagged"] and "no single images" in found["check-failed"]["message"]


def test_stored_images_are_checked_one_by_one(network):
    model, given = judged(network), batch(count=6)
    flips = (model(given.images).argmax(1) != given.targets).tolist()
    ask = lambda claimed: stored_images_hold(model, given.images, given.targets, claimed=claimed, ids=given.ids)  # noqa: E731
    assert not ask(flips)["flagged"]
    lied = ask([not flips[0], *flips[1:]])
    assert lied["severity"] == "severe" and lied["evidence"]["differ"] == ["i0"]
    with pytest.raises(RunError, match="differ in number"):
        ask(flips[1:])


def test_every_id_is_documented(root, check):
    text = (root / "docs" / "findings.md").read_text(encoding="utf-8")
    assert check("docs").missing(set(IDS), text) == []
    assert {name for _, wanted in BROKEN.values() for name in wanted} <= set(IDS)


def test_flat_parts_of_images_are_no_wrong_gradient():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(96, 2))
    model, given = judged(body), batch(count=8)
    given.images = given.images.round()  # black and white: most windows hold equal values, kinks of the maximum
    given.targets = model(given.images).argmax(1)
    found = {item["id"]: item for item in run_alarms(model, given, effort="quick")}
    assert not found["gradient-disagrees"]["flagged"] and found["gradient-disagrees"]["evidence"]["images"] == 8


def test_a_region_bounds_the_attacks_that_are_compared_and_sets_no_alarm_off_by_itself(network):
    given, seen = batch(count=16), []
    region = torch.zeros(16, SIDE, SIDE, dtype=torch.bool)
    region[:, 4:12, 4:12] = True

    class Watched(nn.Module):
        """Notes where the images it is shown differ from the clean ones."""

        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, images):
            if len(images) == len(given.images):
                seen.append((images.detach() != given.images).any(1))
            return self.inner(images)

    free = {r["id"]: r for r in run_alarms(judged(network), given, effort="quick")}
    limited = {r["id"]: r for r in run_alarms(judged(network), replace(given, region=region), effort="quick")}
    assert not [r for r in limited.values() if r["flagged"]]
    flips = [found["curve-not-falling"]["evidence"]["flipped"] for found in (limited, free)]
    assert all(a <= b for a, b in zip(*flips, strict=True)) and sum(flips[0]) < sum(flips[1])
    # A region that the model does not look at is no sign of masked gradients.
    corner = torch.zeros_like(region)
    corner[:, :1, :1] = True
    for record in run_alarms(judged(network), replace(given, region=corner), effort="quick"):
        assert not record["flagged"], record["message"]
    probe = Probe(judged(Watched()).eval(), replace(given, region=region), 0, 32, means_of("quick"))
    probe.flips("pgd", "linf=8/255", steps=3)
    assert seen and not any(bool((moved & ~region).any()) for moved in seen)
    assert any(bool(moved.any()) for moved in seen)
