"""percuss train: a plain, good classifier from images."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from percuss.core.errors import UsageError

if TYPE_CHECKING:
    from percuss.pipeline.training import Trained

Option = typer.Option


def train(  # noqa: PLR0913
    *,
    data: Annotated[str, Option(help="Images: folder:PATH, csv:PATH, medmnist:PATH.npz or synthetic:tissue.")],
    model: Annotated[
        str, Option(help="Network: timm:NAME, torchvision:NAME, factory:module:function, or a trained folder.")
    ],
    out: Annotated[Path, Option(help="Model folder to make, or to go on with.")],
    epochs: Annotated[int, Option(help="At most so many passes over the training images.")] = 20,
    seed: Annotated[int, Option(help="Decides all randomness.")] = 0,
    device: Annotated[str, Option(help="auto, cpu or cuda.")] = "auto",
    batch_size: Annotated[int, Option(help="Images per step, over all devices together.")] = 64,
    optimiser: Annotated[str, Option(help="adamw, adam, sgd or adadelta.")] = "adamw",
    lr: Annotated[float | None, Option(help="Learning rate. Default adam(w) 0.001, sgd 0.05, adadelta 1.")] = None,
    epsilon: Annotated[float | None, Option(help="Term in Adam's division. Default 1e-8.")] = None,
    momentum: Annotated[float | None, Option(help="Nesterov momentum of sgd. Default 0.9.")] = None,
    weight_decay: Annotated[float, Option(help="Decay of the weights.")] = 1e-4,
    schedule: Annotated[str, Option(help="Learning rate over time: none, cosine or step.")] = "cosine",
    class_weights: Annotated[bool, Option("--class-weights", help="Weigh rare classes more.")] = False,
    patience: Annotated[int | None, Option(help="Stop after so many epochs without a lower validation loss.")] = None,
    precision: Annotated[str, Option(help="32, bf16 or 16 (mixed).")] = "32",
    devices: Annotated[int, Option(help="Number of devices.")] = 1,
    augment: Annotated[str, Option(help="none, or flips: mirror images and quarter turns.")] = "none",
    weights: Annotated[str | None, Option(help="Weights to start from: a .safetensors or .pt file.")] = None,
    pretrained: Annotated[bool, Option("--pretrained", help="Start from the network's own pretrained weights.")] = (
        False
    ),
    allow_code: Annotated[bool, Option("--allow-code", help="Let factory: run the code it names.")] = False,
    grey_inside: Annotated[
        bool, Option("--grey-inside", help="Let a colour network take grey images; changes stay grey.")
    ] = False,
    folds: Annotated[int | None, Option(help="Cross-validate first with so many folds; groups kept whole.")] = None,
    repeats: Annotated[int, Option(help="Repeats of the cross-validation with other folds.")] = 1,
    threads: Annotated[int | None, Option(help="Threads of the processor to use.")] = None,
    keep_weights: Annotated[
        bool, Option("--keep-weights", help="Keep the weights of every epoch, for the landscape of percuss explain.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print training.json on stdout.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a classifier; the best epoch is chosen on the validation split, never on the test split.

    Writes a model folder for percuss audit. Stopped or killed, the same command goes on after its last epoch.
    """
    from percuss.cli.console import talk
    from percuss.defend.settings import make_settings
    from percuss.pipeline.training import TrainPlan
    from percuss.pipeline.training import train as run

    if pretrained and weights:
        raise UsageError("--weights and --pretrained exclude each other", value=weights)
    settings = make_settings(
        epochs=epochs,
        seed=seed,
        device=device,
        batch_size=batch_size,
        optimiser=optimiser,
        lr=lr,
        epsilon=epsilon,
        momentum=momentum,
        weight_decay=weight_decay,
        schedule=schedule,
        class_weights=class_weights,
        patience=patience,
        precision=precision,
        devices=devices,
        augment=augment,
        threads=threads,
        keep_weights=keep_weights,
    )
    plan = TrainPlan(
        data=data,
        model=model,
        weights="pretrained" if pretrained else weights,
        allow_code=allow_code,
        grey_inside=grey_inside,
        folds=folds,
        repeats=repeats,
        settings=settings,
    )
    done = run(plan, out=out, progress=talk(quiet=quiet), command=given_command())
    if done.main and as_json:
        print(json.dumps(done.record))
    elif done.main and not quiet:
        print(closing(done, allow_code=allow_code))


def closing(done: Trained, *, allow_code: bool = False) -> str:
    """The result on one line, and the command that audits it."""
    split = "test" if done.record["test"] else "validation"
    size = done.record["n"]["test" if done.record["test"] else "val"]
    names = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}
    values = [f"{names[name]} {value:.3f}" for name, value in done.scores.items() if value is not None]
    words = ["percuss", "audit", "--data", done.audit_data, "--model", str(done.path), "--out", f"{done.path}-audit"]
    words += ["--allow-code"] if allow_code else []
    best = f"best epoch {done.record['best_epoch']} of {len(done.record['history'])}"
    return f"{', '.join(values)} on {size} {split} images, {best}; next: {shlex.join(words)}"


def given_command() -> str:
    """The command line as given, where it is one of percuss."""
    return shlex.join(["percuss", *sys.argv[1:]]) if Path(sys.argv[0]).stem == "percuss" else ""
