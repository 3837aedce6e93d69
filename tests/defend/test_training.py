"""The training loop: exact resume, early stopping, class weights, bad settings."""

import math

import pytest
import torch
from torch import nn

from percuss.core.errors import DataError, ModelError, RunError, UsageError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.defend.flips import flips
from percuss.defend.resume import LAST
from percuss.defend.settings import LEARNING_RATES, make_settings
from percuss.defend.stepping import make_loss, make_optimiser, rate_factor
from percuss.defend.training import TrainData, _batches, fit, scores
from percuss.pipeline.progress import Progress


class Net(nn.Module):
    """With batch norm and dropout, so that a resume has something to forget."""

    def __init__(self, outputs):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3)
        )
        self.head = nn.Linear(16, outputs)

    def forward(self, images):
        return self.head(self.body(images))


class Stop(Progress):
    """Breaks off in the middle of the third epoch."""

    def start(self, label, total):
        if label.startswith("epoch 3"):
            raise KeyboardInterrupt


def model(outputs=2, task="classify", classes=("a", "b")):
    torch.manual_seed(1)
    return Model(Net(outputs), ModelInfo("net", task, classes, 1))


def part(n, seed, *, classes=2):
    made = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % classes
    images = torch.rand(n, 1, 8, 8, generator=made) * 0.5 + 0.25 * targets.view(-1, 1, 1, 1)
    names = [f"{seed}-{i}" for i in range(n)]
    return Tensors(names, images.clamp(0, 1), targets, [None] * n, PixelRange())


def data(**options):
    return TrainData(part(41, 1, **options), part(20, 2, **options))


def settings(**options):
    return make_settings(**{"epochs": 5, "batch_size": 8, "device": "cpu", "augment": "flips"} | options)


def run(out, made=None, *, progress=None, given=None, **options):
    made = model() if made is None else made
    result = fit(made, given or data(), settings(**options), out=out, progress=progress or Progress())
    return made, result


@pytest.mark.parametrize("optimiser", sorted(LEARNING_RATES))
def test_a_stopped_training_ends_with_the_same_weights(tmp_path, optimiser):
    whole, straight = run(tmp_path / "whole", optimiser=optimiser)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", progress=Stop(), optimiser=optimiser)
    said = []
    teller = Progress()
    teller.line = said.append
    torch.manual_seed(99)
    resumed, result = run(tmp_path / "cut", progress=teller, optimiser=optimiser)
    assert said[0] == "going on after epoch 2 of 5"
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert result.best_epoch == straight.best_epoch
    assert [row.train_loss for row in result.history] == [row.train_loss for row in straight.history]


def test_the_rate_falls_by_steps_and_a_resume_goes_on_with_it(tmp_path):
    plain = {"schedule": "none", "warmup": 0, "lr": 0.01, "lr_decay": 0.1, "augment": "rotate20shift"}
    whole, straight = run(tmp_path / "whole", **plain)
    # 41 images in eights are five steps an epoch (the last image alone is left out): the last of epoch k is 5 k - 1.
    rates = [row.lr for row in straight.history]
    assert rates == pytest.approx([0.01 / (1 + 0.1 * (5 * k - 1)) for k in range(1, 6)])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", progress=Stop(), **plain)
    resumed, result = run(tmp_path / "cut", **plain)
    assert [row.lr for row in result.history] == rates
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_training_learns_and_keeps_the_best_epoch(tmp_path):
    made, result = run(tmp_path, epochs=12, lr=0.01)
    losses = [row.val_loss for row in result.history]
    assert result.best_epoch == losses.index(min(losses)) + 1
    val = data().val
    loss = make_loss(made, val.targets, weighted=False)
    assert float(loss(scores(made, val.images), val.targets)) == pytest.approx(min(losses), abs=1e-6)
    assert min(losses) < 0.6 and not made.training and not result.stopped_early


def test_a_finished_training_is_not_repeated(tmp_path):
    made, first = run(tmp_path, epochs=2)
    stamp = (tmp_path / LAST).stat().st_mtime_ns
    again, second = run(tmp_path, epochs=2)
    assert (tmp_path / LAST).stat().st_mtime_ns == stamp and second.history == first.history
    assert made.fingerprint() == again.fingerprint()


def test_early_stopping_waits_for_patience(tmp_path):
    # A rate this large jumps about, so the validation loss soon stops falling.
    _, result = run(tmp_path, epochs=60, lr=0.5, optimiser="sgd", patience=2)
    assert result.stopped_early and len(result.history) == result.best_epoch + 2 < 60


def test_class_weights_balance_the_loss(tmp_path):
    targets = torch.tensor([0] * 9 + [1])
    loss = make_loss(model(), targets, weighted=True)
    assert loss.weights.tolist() == pytest.approx([10 / 18, 10 / 2])
    logits = torch.zeros(10, 2, requires_grad=True)
    loss(logits, targets).backward()
    assert logits.grad[:9, 0].sum() == pytest.approx(float(logits.grad[9, 1]))
    labels = make_loss(model(3, "multilabel", ("x", "y", "z")), torch.eye(3)[[0, 0, 0, 1]], weighted=True)
    assert labels.weights.tolist() == pytest.approx([1 / 3, 3, 4])
    assert make_loss(model(), targets, weighted=False).weights is None


@pytest.mark.parametrize(("outputs", "task"), [(1, "classify"), (2, "multilabel")])
def test_single_logit_and_multilabel_models_train(tmp_path, outputs, task):
    given = data()
    if task == "multilabel":
        given.train.targets, given.val.targets = (
            torch.stack([p.targets, 1 - p.targets], 1).float() for p in (given.train, given.val)
        )
    made, result = run(tmp_path, model(outputs, task), given=given, epochs=2, class_weights=outputs == 2)
    assert math.isfinite(result.history[-1].val_loss)
    assert scores(made, given.val.images).shape == (20, outputs)


def test_another_training_in_the_folder_is_refused(tmp_path):
    run(tmp_path, epochs=1)
    with pytest.raises(RunError, match="the folder holds another training; it differs in its settings"):
        run(tmp_path, epochs=2)
    with pytest.raises(RunError, match="differs in its images"):
        run(tmp_path, epochs=1, given=TrainData(part(41, 3), part(20, 2)))
    with pytest.raises(RunError, match="differs in its model"):
        run(tmp_path, model(1), epochs=1)
    (tmp_path / LAST).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(RunError, match="the checkpoint cannot be read"):
        run(tmp_path, epochs=1)


def test_a_checkpoint_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        run(tmp_path / "file", epochs=1)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    with pytest.raises(ModelError, match="the training loss is not finite: epoch 1"):
        run(tmp_path, lr=1e30, optimiser="sgd", warmup=0)
    broken = model()
    with torch.no_grad():
        broken.network.head.bias.fill_(math.nan)
    with pytest.raises(ModelError, match="not finite"):
        run(tmp_path / "nan", broken)


def test_images_must_be_there_and_of_one_shape(tmp_path):
    with pytest.raises(DataError, match="there are no validation images"):
        run(tmp_path, given=TrainData(part(8, 1), part(0, 2)))
    small = part(4, 2)
    small.images = small.images[..., :4]
    with pytest.raises(DataError, match="training and validation images differ in shape"):
        run(tmp_path, given=TrainData(part(8, 1), small))


def test_settings_refuse_what_has_no_meaning():
    with pytest.raises(UsageError, match=r"unknown option: epoch\. Allowed: epochs"):
        make_settings(epoch=3)
    with pytest.raises(UsageError, match="the option optimiser cannot be used: lion"):
        make_settings(optimiser="lion")
    with pytest.raises(UsageError, match="the option lr cannot be used: -1"):
        make_settings(lr=-1)
    with pytest.raises(UsageError, match="the option epochs cannot be used: 0"):
        make_settings(epochs=0)
    with pytest.raises(UsageError, match=r"the option epsilon cannot be used: 0\.1.*--optimiser adamw or adam"):
        make_settings(optimiser="sgd", epsilon=0.1)
    with pytest.raises(UsageError, match=r"the option momentum cannot be used: 0.*only with --optimiser sgd"):
        make_settings(momentum=0)


def test_optimisers_take_the_epsilon_and_momentum_of_the_papers():
    weights = [torch.nn.Parameter(torch.ones(2))]
    adam = make_optimiser(weights, make_settings(optimiser="adam", lr=0.01, epsilon=0.1))
    assert type(adam) is torch.optim.Adam and (adam.defaults["eps"], adam.defaults["lr"]) == (0.1, 0.01)
    assert make_optimiser(weights, make_settings()).defaults["eps"] == 1e-8
    plain, usual = (make_optimiser(weights, make_settings(optimiser="sgd", momentum=m)) for m in (0, None))
    assert (plain.defaults["momentum"], plain.defaults["nesterov"]) == (0, False)
    assert (usual.defaults["momentum"], usual.defaults["nesterov"]) == (0.9, True)
    assert len({make_settings(**{k: v}).identity() for k, v in (("epsilon", 0.1), ("epsilon", None))}) == 2


def test_identity_is_what_decides_the_weights():
    ours = settings()
    assert settings(device="auto", threads=2, lr=LEARNING_RATES["adamw"]).identity() == ours.identity()
    assert len({settings(**{k: v}).identity() for k, v in (("seed", 1), ("lr", 1), ("epochs", 9))}) == 3


def test_devices_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="16-bit precision needs a GPU"):
        run(tmp_path, precision="16")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="so many GPUs are not there: 1"):
            run(tmp_path, device="cuda")


def test_learning_rate_rises_then_falls():
    cosine, step = settings(epochs=10), settings(epochs=10, schedule="step")
    assert rate_factor(cosine, 0.5) == 0.5 and rate_factor(cosine, 1.0) == 1.0
    assert rate_factor(cosine, 5.5) == pytest.approx(0.5) and rate_factor(cosine, 10) == pytest.approx(0)
    assert [rate_factor(step, t) for t in (2, 7, 9)] == [1.0, 0.1, 0.01]
    assert rate_factor(settings(epochs=1, schedule="none"), 0.25) == 0.5
    assert rate_factor(settings(schedule="none", warmup=0), 0.01) == 1.0


def test_flips_turn_square_images_only():
    images = torch.rand(64, 1, 2, 2)
    found = flips(images, torch.Generator().manual_seed(0))
    assert torch.equal(found.flatten(1).sort(1).values, images.flatten(1).sort(1).values)
    kinds = {(bool(torch.equal(a, b)), bool(torch.equal(a, b.flip(2)))) for a, b in zip(images, found, strict=True)}
    assert len(kinds) == 3
    tall = torch.rand(32, 1, 3, 2)
    for before, after in zip(tall, flips(tall, torch.Generator().manual_seed(0)), strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(2))


def test_bf16_runs(tmp_path):
    _, result = run(tmp_path, epochs=1, precision="bf16")
    assert math.isfinite(result.history[0].train_loss)


def test_portions_give_each_device_the_same_share():
    sizes = [len(portion) for portion in _batches(torch.arange(33), 8, 2)]
    assert sizes == [8, 8, 8, 8]
    assert [len(portion) for portion in _batches(torch.arange(9), 8, 1)] == [8]
    assert [len(portion) for portion in _batches(torch.arange(1), 8, 1)] == [1]


def test_decades_are_those_of_the_paper_without_warm_up():
    chosen = settings(schedule="decades", lr=0.004, epochs=60)
    rates = [0.004 * rate_factor(chosen, number + share) for number in range(60) for share in (0.01, 1)]
    assert rates[:20] == pytest.approx([0.003619] * 20, abs=5e-7) and rates[-1] == pytest.approx(0.002195, abs=5e-7)
    assert rates[19] > rates[20] and len(set(rates)) == 6
    assert chosen.rising == 0 and settings(schedule="decades", warmup=2).rising == 2 and settings().rising == 1


def test_an_unset_warm_up_is_the_identity_of_one_epoch():
    assert settings().identity() == settings(warmup=1).identity() != settings(warmup=0).identity()
