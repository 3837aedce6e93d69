"""Defences: robust accuracy rises, ratios are exact, a stop changes nothing, each method is what its paper says."""

import math

import pytest
import torch
from torch import nn

from percuss.attacks.tensors import attack
from percuss.core.budget import Norm
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo, is_right
from percuss.defend import fast, free, pgd
from percuss.defend.hardening import Ground
from percuss.defend.library import make_defence
from percuss.defend.records import Epoch, TrainData
from percuss.defend.resume import LAST
from percuss.defend.settings import make_settings
from percuss.defend.training import fit, scores
from percuss.pipeline.progress import Progress

NAMES = ("fast", "free", "pgd", "trades")
EPS = 0.1


class Net(nn.Module):
    """With batch norm and dropout, so that a resume has something to forget."""

    def __init__(self, outputs, *, drop=0.0):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(64), nn.Dropout(drop)
        self.inner, self.head = nn.Linear(64, 32), nn.Linear(32, outputs)

    def forward(self, images):
        return self.head(self.drop(torch.relu(self.inner(self.norm(images.flatten(1))))))


def model(outputs=2, task="classify", classes=("a", "b"), drop=0.0):
    torch.manual_seed(1)
    return Model(Net(outputs, drop=drop), ModelInfo("net", task, classes, 1))


def part(n, seed, *, classes=2):
    """A strong feature (the quarter of the image that is bright) beside many faint ones that a small change undoes."""
    made = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % classes
    pattern = torch.rand(classes, 1, 8, 8, generator=torch.Generator().manual_seed(7)) - 0.5
    images = 0.5 + 0.08 * pattern.sign()[targets] + 0.02 * torch.randn(n, 1, 8, 8, generator=made)
    bright = torch.zeros(n, 1, 8, 8)
    for row, target in enumerate(targets.tolist()):
        bright[row, 0, target // 2 * 4 : target // 2 * 4 + 2, target % 2 * 4 : target % 2 * 4 + 2] = 0.28
    images = images + bright * (torch.rand(n, 1, 1, 1, generator=made) < 0.95)
    return Tensors([f"{seed}-{i}" for i in range(n)], images.clamp(0, 1), targets, [None] * n, PixelRange())


def data(n=121, **options):
    return TrainData(part(n, 1, **options), part(60, 2, **options))


def settings(**options):
    return make_settings(**{"epochs": 3, "batch_size": 16, "device": "cpu", "lr": 0.01} | options)


def run(out, name, made=None, *, given=None, progress=None, own=None, norm=Norm.LINF, eps=EPS, **options):
    made = model() if made is None else made
    way = make_defence(name, Ground(norm, eps), own or {}) if name else None
    result = fit(made, given or data(), settings(**options), out=out, progress=progress or Progress(), recipe=way)
    return made, result


def robust(made, val, budget=f"linf={EPS}"):
    changed = attack("pgd", made, val.images, val.targets, budget, steps=20, restarts=2)
    return float(is_right(scores(made, changed), val.targets, made.task).float().mean())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain"), None, epochs=12)[0]


@pytest.mark.parametrize("name", NAMES)
def test_robust_accuracy_rises_clearly_over_the_plain_model(tmp_path, plain, name):
    val = data().val
    made, result = run(tmp_path, name, epochs=12)
    before, after = robust(plain, val), robust(made, val)
    assert after >= before + 0.2, (before, after)
    best = result.history[result.best_epoch - 1]
    assert best.robust_accuracy == max(row.robust_accuracy for row in result.history)
    assert best.robust_accuracy == pytest.approx(after, abs=0.05)
    for row in result.history:
        assert max(row.robust_accuracy, row.one_step_accuracy) <= row.val_accuracy
    assert result.before.robust_accuracy <= result.before.val_accuracy


def test_l2_and_fine_tuning_from_the_plain_model(tmp_path, plain):
    val = data().val
    again = model()
    again.load_state_dict(plain.state_dict())
    made, result = run(tmp_path, "pgd", again, norm=Norm.L2, eps=0.7, own={"ratio": 1.0}, epochs=8)
    assert robust(made, val, "l2=0.7") >= robust(plain, val, "l2=0.7") + 0.2
    assert result.before.val_accuracy == pytest.approx(
        float(is_right(scores(plain, val.images), val.targets, "classify").float().mean())
    )


@pytest.mark.parametrize("ratio", [0.5, 0.3, 0.01, 1.0])
def test_ratio_is_exact(tmp_path, ratio):
    _, result = run(tmp_path, "pgd", own={"ratio": ratio, "steps": 1}, epochs=2, batch_size=7)
    for row in result.history:
        total = row.clean_images + row.adversarial_images
        assert total == 121 and row.adversarial_images == math.floor(ratio * total + 0.5)
    due = [pgd.due(ratio, seen, 7) for seen in range(0, 700, 7)]
    assert sum(due) == math.floor(ratio * 700 + 0.5) and max(due) - min(due) <= 1


def test_exactly_the_counted_images_are_attacked(tmp_path, monkeypatch):
    whole, seen = data(), []
    known = {bytes(image.numpy().data) for image in whole.train.images}
    shown = Net.forward

    def forward(self, images):
        if self.training:
            seen.append(sum(bytes(image.contiguous().numpy().data) not in known for image in images.detach()))
        return shown(self, images)

    monkeypatch.setattr(Net, "forward", forward)
    _, result = run(tmp_path, "pgd", given=whole, own={"ratio": 0.25}, epochs=1)
    assert seen == [4] * 7 + [2] and result.history[0].adversarial_images == 30


def test_counts_of_the_others(tmp_path):
    for name, counts in (("trades", (121, 121)), ("free", (0, 3 * 121)), ("fast", (0, 121))):
        own = {"replays": 3} if name == "free" else {}
        row = run(tmp_path / name, name, own=own, epochs=1)[1].history[0]
        assert (row.clean_images, row.adversarial_images) == counts


class Stop(Progress):
    """Breaks off in the middle of the third epoch."""

    def start(self, label, total):
        if label.startswith("epoch 3"):
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_hardening_ends_with_the_same_weights(tmp_path, name):
    options = {"epochs": 4, "augment": "flips"}
    whole, straight = run(tmp_path / "whole", name, model(drop=0.3), **options)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", name, model(drop=0.3), progress=Stop(), **options)
    torch.manual_seed(99)
    resumed, result = run(tmp_path / "cut", name, model(drop=0.3), **options)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert result.before == straight.before and result.best_epoch == straight.best_epoch
    assert [row.train_loss for row in result.history] == [row.train_loss for row in straight.history]


def test_the_folder_of_another_defence_is_refused(tmp_path):
    run(tmp_path, "pgd", epochs=1)
    for name, options in (("trades", {}), (None, {}), ("pgd", {"eps": 0.2}), ("pgd", {"own": {"ratio": 0.4}})):
        with pytest.raises(Exception, match="differs in its settings"):
            run(tmp_path, name, epochs=1, **options)
    assert (tmp_path / LAST).exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("outputs", "task", "classes"), [(1, "classify", 2), (4, "classify", 4), (3, "multilabel", 3)])
def test_every_task(tmp_path, name, outputs, task, classes):
    given = data(n=33, classes=4 if task == "classify" and classes == 4 else 2)
    if task == "multilabel":
        for one in (given.train, given.val):
            one.targets = torch.stack([one.targets, 1 - one.targets, one.targets], 1).float()
    made = model(outputs, task, tuple("abcd"[:classes]))
    _, result = run(tmp_path, name, made, given=given, epochs=1)
    row = result.history[0]
    assert math.isfinite(row.train_loss) and 0 <= row.robust_accuracy <= row.val_accuracy


def test_mode_of_batch_norm_changes_the_training(tmp_path):
    first = run(tmp_path / "a", "pgd", epochs=1)[0]
    second = run(tmp_path / "b", "pgd", own={"batch_norm": "train"}, epochs=1)[0]
    assert not torch.equal(first.network.head.weight, second.network.head.weight)


def test_free_carries_its_change_on_within_the_ball(tmp_path):
    way = make_defence("free", Ground(Norm.LINF, EPS), {"replays": 2})
    assert way.state() == {}
    fit(model(), data(), settings(epochs=1), out=tmp_path, progress=Progress(), recipe=way)
    change = way.state()["change"]
    assert change.shape == (16, 1, 8, 8) and EPS * 0.99 <= float(change.abs().max()) <= EPS * (1 + 1e-6)
    fresh = free.Defence(free.Settings(replays=2), way.ground)
    fresh.restore(way.state())
    assert torch.equal(fresh._carried(data().train.images[:9]), change[:9])


def history(*pairs):
    return [Epoch(i, 0.1, 1.0, 1.0, 0.9, 1.0, robust, single) for i, (robust, single) in enumerate(pairs, 1)]


def test_catastrophic_overfitting_is_told_from_slow_learning():
    way = make_defence("fast", Ground(Norm.LINF, EPS), {})
    found = way.ending(history((0.3, 0.4), (0.4, 0.45), (0.01, 0.7)))
    assert found.id == "catastrophic-overfitting" and found.severity == "warning"
    assert "from 40.0 % to 1.0 %" in found.message and found.evidence["epoch"] == 3
    for fine in (((0.4, 0.5),), ((0.0, 0.5), (0.0, 0.6)), ((0.4, 0.5), (0.2, 0.7)), ((0.4, 0.5), (0.0, 0.1))):
        assert way.ending(history(*fine)) is None


def test_catastrophic_overfitting_ends_the_training_at_the_best_epoch(tmp_path, monkeypatch):
    rows = iter([(0.0, 0.1), (0.3, 0.4), (0.4, 0.45), (0.0, 0.9)])

    def judge(self, model, part, *, batch_size):
        return dict(zip(("robust_accuracy", "one_step_accuracy"), next(rows), strict=True))

    monkeypatch.setattr(fast.Defence, "judge", judge)
    _, result = run(tmp_path, "fast", epochs=9)
    assert (len(result.history), result.best_epoch, result.stopped_early) == (3, 2, True)
    _, again = run(tmp_path, "fast", epochs=9)
    assert again.history == result.history
