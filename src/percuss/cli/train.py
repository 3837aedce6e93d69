"""percuss train: a plain, good classifier or segmenter from images."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from percuss.cli.options import (
    AllowCode,
    Augment,
    Balance,
    ClassWeights,
    Device,
    Devices,
    Epochs,
    EpochShare,
    Epsilon,
    GreyInside,
    ImagesSpec,
    Lr,
    LrDecay,
    MinDelta,
    ModelFolder,
    Momentum,
    Optimiser,
    Precision,
    Quiet,
    Schedule,
    Seed,
    StartPretrained,
    StartWeights,
    Threads,
    TrainBatchSize,
    TrainingJson,
    Verbose,
    WeightDecay,
    one_start,
)

if TYPE_CHECKING:
    from percuss.pipeline.training import Trained, TrainPlan

Option = typer.Option
#: Scores in words.
_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "auc_pr": "AUC-PR of cells",
    "null": "without knowledge",
    "quality": "mean Dice of an image",
    "dice": "Dice over all pixels, mean of classes",
    "iou": "IoU likewise",
    "pixel_accuracy": "pixel accuracy",
    "floor": "background everywhere",
}
#: Of class maps "accuracy" would be taken for that of pixels.
_OF_MAPS = {"accuracy": "images with a Dice of 0.5 and more"}


def train(  # noqa: PLR0913
    *,
    data: ImagesSpec,
    model: Annotated[
        str,
        Option(
            help="Network: timm:NAME, torchvision:NAME, smp:NAME, monai:NAME, percuss:NAME, factory:module:function, "
            "or a trained folder."
        ),
    ],
    out: ModelFolder,
    epochs: Epochs = 20,
    seed: Seed = 0,
    device: Device = "auto",
    batch_size: TrainBatchSize = 64,
    optimiser: Optimiser = "adamw",
    lr: Lr = None,
    epsilon: Epsilon = None,
    momentum: Momentum = None,
    weight_decay: WeightDecay = 1e-4,
    schedule: Schedule = "cosine",
    lr_decay: LrDecay = None,
    class_weights: ClassWeights = False,
    patience: Annotated[int | None, Option(help="Stop after so many epochs without a lower validation loss.")] = None,
    min_delta: MinDelta = 0.0,
    precision: Precision = "32",
    devices: Devices = 1,
    augment: Augment = "none",
    balance: Balance = None,
    epoch_share: EpochShare = 1.0,
    weights: StartWeights = None,
    pretrained: StartPretrained = (False),
    allow_code: AllowCode = False,
    grey_inside: GreyInside = False,
    folds: Annotated[int | None, Option(help="Cross-validate first with so many folds; groups kept whole.")] = None,
    repeats: Annotated[int, Option(help="Repeats of the cross-validation with other folds.")] = 1,
    threads: Threads = None,
    keep_weights: Annotated[
        bool, Option("--keep-weights", help="Keep the weights of every epoch, for the landscape of percuss explain.")
    ] = False,
    as_json: TrainingJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a classifier or a segmenter; the best epoch is chosen on the validation split, never on the test split.

    Writes a model folder for percuss audit. Stopped or killed, the same command goes on after its last epoch.
    """
    _train(dict(locals()))


def _train(given: dict[str, Any]) -> None:
    from percuss.cli.console import given_command, talk
    from percuss.pipeline.training import train as run

    plan = plan_of(given, folds=given["folds"], repeats=given["repeats"])
    done = run(plan, out=given["out"], progress=talk(quiet=given["quiet"]), command=given_command())
    if done.main and given["as_json"]:
        print(json.dumps(done.record))
    elif done.main and not given["quiet"]:
        print(closing(done, allow_code=given["allow_code"]))


def plan_of(given: dict[str, Any], **more: Any) -> TrainPlan:
    """The plan of a training from the options of its command, by name, and what only this command has."""
    from percuss.defend.settings import TrainSettings, make_settings
    from percuss.pipeline.training import TrainPlan

    one_start(given["weights"], pretrained=given["pretrained"])
    return TrainPlan(
        data=given["data"],
        model=given["model"],
        weights="pretrained" if given["pretrained"] else given["weights"],
        allow_code=given["allow_code"],
        grey_inside=given["grey_inside"],
        settings=make_settings(**{name: given[name] for name in TrainSettings.model_fields if name in given}),
        **more,
    )


def closing(done: Trained, *, allow_code: bool = False) -> str:
    """The result on one line, and the command that audits it."""
    split = "test" if done.record["test"] else "validation"
    size = done.record["n"]["test" if done.record["test"] else "val"]
    names = _NAMES | (_OF_MAPS if "dice" in done.scores else {})
    values = [f"{words} {done.scores[name]:.3f}" for name, words in names.items() if done.scores.get(name) is not None]
    words = ["percuss", "audit", "--data", done.audit_data, "--model", str(done.path), "--out", f"{done.path}-audit"]
    words += ["--allow-code"] if allow_code else []
    best = f"best epoch {done.record['best_epoch']} of {len(done.record['history'])}"
    return f"{', '.join(values)} on {size} {split} images, {best}; next: {shlex.join(words)}"
