"""Defences of segmenters: robust Dice rises and chooses the epoch, a stop changes nothing, losses are per pixel."""

import math

import pytest
import torch
from torch import nn

from percuss.attacks.tensors import attack
from percuss.core import dense
from percuss.core.budget import Norm
from percuss.core.errors import UsageError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.seeds import ImageRandom
from percuss.defend.climbing import Climb, true_slope
from percuss.defend.divergence import apart_slope, divergence
from percuss.defend.hardening import Ground
from percuss.defend.library import make_defence
from percuss.defend.records import Epoch, TrainData
from percuss.defend.settings import make_settings
from percuss.defend.training import fit
from percuss.pipeline.progress import Progress

NAMES = ("fast", "free", "pgd", "segpgd", "trades")
CLASSES = ("background", "a", "b")
EPS = 0.06


class Net(nn.Module):
    """With batch norm and dropout, so that a resume has something to forget."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(12), nn.Dropout(0.1)
        self.first, self.last = nn.Conv2d(2, 12, 3, padding=1), nn.Conv2d(12, 3, 1)

    def forward(self, images):
        # Without this a short plain training would not find the faint channel.
        seen = (images - 0.5) * torch.tensor([1.0, 8.0]).view(1, 2, 1, 1)
        return self.last(self.drop(torch.relu(self.norm(self.first(seen)))))


def model():
    torch.manual_seed(1)
    return Model(Net(), ModelInfo("net", "segment", CLASSES, 2))


def part(n, seed):
    """Squares that a strong channel shows, beside a faint pattern that tells them better but that noise undoes."""
    drawn = torch.Generator().manual_seed(seed)
    maps = torch.randint(0, 3, (n, 4, 4), generator=drawn, dtype=torch.uint8)
    maps = maps.repeat_interleave(4, 1).repeat_interleave(4, 2)
    strong = 0.5 + 0.35 * (maps.float() - 1) + 0.1 * torch.randn(n, 16, 16, generator=drawn)
    faint = 0.5 + 0.05 * (maps.float() - 1)
    maps[:, :1] = dense.IGNORE
    images = torch.stack([strong, faint], 1).clamp(0, 1)
    return Tensors([f"{seed}-{i}" for i in range(n)], images, maps, [None] * n, PixelRange())


def data():
    return TrainData(part(24, 1), part(12, 2))


def run(out, name, *, progress=None, own=None, **options):
    made, given = model(), {"epochs": 3, "batch_size": 8, "device": "cpu", "lr": 0.05} | options
    way = make_defence(name, Ground(Norm.LINF, EPS), own or {}) if name else None
    result = fit(made, data(), make_settings(**given), out=out, progress=progress or Progress(), recipe=way)
    return made, result


def robust(made):
    val = data().val
    changed = attack("pgd", made, val.images, val.targets, f"linf={EPS}", steps=20)
    with torch.no_grad():
        return float(dense.quality(made(changed).argmax(1), val.targets, 3).mean())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain"), None, epochs=15)


def test_plain_training_learns_the_maps(plain):
    history = plain[1].history
    assert history[-1].val_dice > 0.9 and history[-1].val_accuracy == 1 and history[-1].robust_dice is None
    assert plain[1].best_epoch == 1 + [row.val_loss for row in history].index(min(row.val_loss for row in history))
    assert "robust_dice" not in history[0].told() and history[0].told()["val_dice"] == history[0].val_dice


@pytest.mark.parametrize("name", NAMES)
def test_robust_dice_rises_clearly_over_the_plain_model(tmp_path, plain, name):
    own = {"beta": 3.0} if name == "trades" else {}
    made, result = run(tmp_path, name, epochs=15, own=own)
    before, after = robust(plain[0]), robust(made)
    assert after >= before + 0.2, (before, after)
    best = result.history[result.best_epoch - 1]
    assert best.robust_dice == max(row.robust_dice for row in result.history)
    assert best.robust_dice == pytest.approx(after, abs=0.1)
    for row in (*result.history, result.before):
        assert row.robust_dice <= row.val_dice and row.one_step_dice <= row.val_dice
        assert row.robust_accuracy <= row.val_accuracy


class Stop(Progress):
    """Breaks off in the middle of the third epoch."""

    def start(self, label, total):
        if label.startswith("epoch 3"):
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", [None, *NAMES])
def test_a_stopped_training_ends_with_the_same_weights(tmp_path, name):
    options = {"augment": "rotate20shift", "class_weights": True, "schedule": "decades"}
    whole, straight = run(tmp_path / "whole", name, **options)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", name, progress=Stop(), **options)
    torch.manual_seed(99)
    resumed, result = run(tmp_path / "cut", name, **options)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert result.before == straight.before and result.best_epoch == straight.best_epoch
    told = [[{**vars(row), "seconds": 0} for row in found.history] for found in (result, straight)]
    assert told[0] == told[1]


def test_segpgd_weighs_pixels_by_step_and_differs_from_pgd(tmp_path):
    way = make_defence("segpgd", Ground(Norm.LINF, EPS), {"steps": 4})
    val = data().val
    logits = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wrong = logits.argmax(1) != val.targets
    judged = val.targets != dense.IGNORE
    for step, share in ((0, 0.0), (1, 0.125), (3, 0.375)):
        values = logits.clone().requires_grad_(True)
        each = nn.functional.cross_entropy(values, val.targets.long(), ignore_index=dense.IGNORE, reduction="none")
        (wanted,) = torch.autograd.grad((torch.where(wrong, share, 1 - share) * each).sum(), values)
        found = way.slopes(val.targets, "segment")(step)(logits)
        ratio = wanted.flatten(1).norm(dim=1) / found.flatten(1).norm(dim=1)
        assert torch.allclose(found * ratio.view(-1, 1, 1, 1), wanted)
        assert torch.equal(found.abs().sum(1) > 0, judged & (~wrong if step == 0 else judged))
    first, second = (run(tmp_path / name, name, epochs=1)[0] for name in ("pgd", "segpgd"))
    assert not torch.equal(first.network.last.weight, second.network.last.weight)


def test_segpgd_is_for_segmenters_alone():
    way = make_defence("segpgd", Ground(Norm.LINF, EPS), {})
    way.check_task("segment")
    with pytest.raises(UsageError, match=r"the defence segpgd is not for this task: classify\. Allowed: segment"):
        way.check_task("classify")
    make_defence("pgd", Ground(Norm.LINF, EPS), {}).check_task("classify")


def test_the_lowest_quality_is_that_of_the_worst_iterate(plain):
    made, val = plain[0], data().val
    climb = Climb(Norm.LINF, EPS, 4, EPS / 3)
    start = climb.start(val.images, ImageRandom(0, val.ids, "x"))
    found = climb.lowest(made, val.images, val.targets, start=start)
    seen = [val.images, (val.images + start).clamp(0, 1)]
    for steps in range(1, 5):
        one = Climb(Norm.LINF, EPS, steps, EPS / 3)
        seen.append(one.attacked(made, val.images, true_slope(val.targets, "segment"), start=start))
    with torch.no_grad():
        each = torch.stack([dense.quality(made(images).argmax(1), val.targets, 3) for images in seen])
    assert torch.equal(found, each.amin(0)) and bool((found < each[0]).any())


def test_the_divergence_of_maps_is_that_of_torch_per_pixel():
    first, second = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    second.requires_grad_(True)
    found = divergence(first, second, "segment")
    theirs, ours = second.log_softmax(1), first.log_softmax(1)
    wanted = nn.functional.kl_div(theirs, ours, reduction="none", log_target=True).sum(1).flatten(1).mean(1)
    assert torch.allclose(found, wanted) and found.shape == (4,)
    (slope,) = torch.autograd.grad(found.sum(), second)
    assert torch.allclose(apart_slope(first, "segment")(second.detach()) / 25, slope)


def test_robust_dice_chooses_the_epoch_and_clean_dice_between_equals():
    way = make_defence("pgd", Ground(Norm.LINF, EPS), {})
    rows = [Epoch(1, 0.1, 1.0, 1.0, 0.9, 1.0, 0.9, 0.9, val_dice=v, robust_dice=r) for v, r in ((0.9, 0.3), (0.5, 0.4))]
    assert way.score(rows[1]) < way.score(rows[0])
    again = Epoch(1, 0.1, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, val_dice=0.6, robust_dice=0.4)
    assert way.score(again) < way.score(rows[1])


def test_fast_watches_the_dice_of_segmenters():
    way = make_defence("fast", Ground(Norm.LINF, EPS), {})

    def history(*pairs):
        made = [{"robust_dice": robust, "one_step_dice": one} for robust, one in pairs]
        return [Epoch(i, 0.1, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, **more) for i, more in enumerate(made, 1)]

    found = way.ending(history((0.4, 0.45), (0.02, 0.7)))
    assert found.id == "catastrophic-overfitting" and "validation Dice under PGD fell from 40.0 %" in found.message
    assert way.ending(history((0.4, 0.45), (0.3, 0.7))) is None


def test_counts_of_images(tmp_path):
    for name, counts in (("segpgd", (12, 12)), ("trades", (24, 24)), ("fast", (0, 24))):
        row = run(tmp_path / name, name, epochs=1)[1].history[0]
        assert (row.clean_images, row.adversarial_images) == counts and math.isfinite(row.train_loss)


def test_the_best_epoch_is_chosen_as_asked():
    rows = [
        Epoch(1, 0.1, 1.0, 0.4, 0.9, 1.0, robust_accuracy=0.2, val_dice=0.9, robust_dice=0.3),
        Epoch(2, 0.1, 1.0, 0.6, 0.8, 1.0, robust_accuracy=0.5, val_dice=0.7, robust_dice=0.6),
    ]
    for choose, best in (("robust", 2), ("loss", 1)):
        way = make_defence("layered", Ground(Norm.LINF, EPS), {"choose": choose})
        assert min(rows, key=way.score).epoch == best
    with pytest.raises(UsageError, match="choose"):
        make_defence("layered", Ground(Norm.LINF, EPS), {"choose": "test"})
