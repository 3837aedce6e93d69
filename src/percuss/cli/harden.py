"""percuss harden: train so that small changes flip less."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from percuss.cli.options import (
    AllowCode,
    Augment,
    ClassWeights,
    Device,
    Devices,
    Epochs,
    Epsilon,
    GreyInside,
    Lr,
    LrDecay,
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
)

Option = typer.Option
#: Options of the command that belong to the defence; those left out take its defaults.
OWN = (
    *("steps", "step_size", "ratio", "batch_norm", "beta", "replays", "check_steps", "choose"),
    *("protocol", "search", "criterion", "asks", "pattern_size"),
)


def harden(  # noqa: PLR0913
    *,
    data: Annotated[str, Option(help="Images, as for percuss train.")],
    model: Annotated[str, Option(help="Model to harden: a folder of percuss train, or a network by name.")],
    defence: Annotated[
        str, Option(help="pgd, segpgd, trades, free, fast, layered, hypothesis or both (percuss list defences).")
    ],
    out: ModelFolder,
    budget: Annotated[str, Option(help="Changes to harden against: linf=SIZE or l2=SIZE.")] = "linf=2/255",
    fresh: Annotated[bool, Option("--fresh", help="Start from fresh weights of the model's network.")] = False,
    steps: Annotated[
        int | None, Option(help="pgd, segpgd, trades: steps of the inner attack. layered: for each class.")
    ] = None,
    step_size: Annotated[float | None, Option(help="Length of a step, in the measure of the norm.")] = None,
    ratio: Annotated[
        float | None, Option(help="pgd, segpgd: share of attacked images, above 0 to 1. Default 0.5.")
    ] = None,
    batch_norm: Annotated[
        str | None, Option(help="pgd, segpgd, trades, fast: mode of the model under the inner attack, eval or train.")
    ] = None,
    beta: Annotated[float | None, Option(help="trades: weight of stability against accuracy. Default 6.")] = None,
    replays: Annotated[int | None, Option(help="free: updates on each batch. Default 4.")] = None,
    protocol: Annotated[str | None, Option(help="layered, hypothesis, both: corrected (default) or paper.")] = None,
    search: Annotated[str | None, Option(help="hypothesis, both: quick (default) or exact.")] = None,
    criterion: Annotated[str | None, Option(help="hypothesis, both: loss (default) or mae.")] = None,
    asks: Annotated[int | None, Option(help="hypothesis, both: choices judged by quick. Default 100.")] = None,
    pattern_size: Annotated[float | None, Option(help="hypothesis, both on paper: size of a pattern.")] = None,
    whole_epochs: Annotated[bool, Option("--whole-epochs", help="both: all epochs, not a third of them.")] = False,
    augmented: Annotated[
        str | None, Option(help="layered, hypothesis, both: folder of the made sets. Default OUT/augmented.")
    ] = None,
    check_steps: Annotated[int | None, Option(help="PGD steps on validation after each epoch. Default 10.")] = None,
    choose: Annotated[
        str | None, Option(help="Best epoch on validation: the most robust (robust, default), or by clean loss (loss).")
    ] = None,
    epochs: Epochs = 10,
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
    patience: Annotated[int | None, Option(help="Stop after so many epochs without a more robust model.")] = None,
    precision: Precision = "32",
    devices: Devices = 1,
    augment: Augment = "none",
    weights: StartWeights = None,
    pretrained: StartPretrained = (False),
    allow_code: AllowCode = False,
    grey_inside: GreyInside = False,
    threads: Threads = None,
    as_json: TrainingJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train against attacked images, from a given model or from fresh weights; the most robust epoch on validation
    is kept.

    Writes a model folder as percuss train does. Stopped or killed, the same command goes on after its last epoch.
    """
    _harden(dict(locals()))


def _harden(given: dict[str, Any]) -> None:
    from percuss.cli.console import given_command, talk
    from percuss.cli.train import closing, plan_of
    from percuss.pipeline.hardening import DefencePlan
    from percuss.pipeline.training import train

    own = {name: given[name] for name in OWN if given[name] is not None}
    plan = plan_of(
        given,
        defence=DefencePlan(
            name=given["defence"],
            budget=given["budget"],
            settings=own | ({"whole_epochs": True} if given["whole_epochs"] else {}),
            fresh=given["fresh"],
            augmented=given["augmented"],
        ),
    )
    done = train(plan, out=given["out"], progress=talk(quiet=given["quiet"]), command=given_command())
    if done.main and given["as_json"]:
        print(json.dumps(done.record))
    elif done.main and not given["quiet"]:
        split = "test" if done.record["test"] else "val"
        left = done.record["robust"][split]
        kinds = {"auc_pr": "AUC-PR", "dice": "Dice", "accuracy": "accuracy"}
        kind = next(name for name in kinds if f"robust_{name}" in left)
        words, value = kinds[kind], left[f"robust_{kind}"]
        print(f"robust {words} {value:.3f} at {given['budget']}, {closing(done, allow_code=given['allow_code'])}")
