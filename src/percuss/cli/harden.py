"""percuss harden: train so that small changes flip less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from percuss.core.errors import UsageError

Option = typer.Option
#: Options of the command that belong to the defence; those left out take its defaults.
OWN = ("steps", "step_size", "ratio", "batch_norm", "beta", "replays", "check_steps")


def harden(  # noqa: PLR0913
    *,
    data: Annotated[str, Option(help="Images, as for percuss train.")],
    model: Annotated[str, Option(help="Model to harden: a folder of percuss train, or a network by name.")],
    defence: Annotated[str, Option(help="pgd, trades, free or fast (percuss list defences).")],
    out: Annotated[Path, Option(help="Model folder to make, or to go on with.")],
    budget: Annotated[str, Option(help="Changes to harden against: linf=SIZE or l2=SIZE.")] = "linf=2/255",
    fresh: Annotated[bool, Option("--fresh", help="Start from fresh weights of the model's network.")] = False,
    steps: Annotated[int | None, Option(help="pgd, trades: steps of the inner attack.")] = None,
    step_size: Annotated[float | None, Option(help="Length of a step, in the measure of the norm.")] = None,
    ratio: Annotated[float | None, Option(help="pgd: share of attacked images, above 0 to 1. Default 0.5.")] = None,
    batch_norm: Annotated[
        str | None, Option(help="pgd, trades, fast: mode of the model under the inner attack, eval or train.")
    ] = None,
    beta: Annotated[float | None, Option(help="trades: weight of stability against accuracy. Default 6.")] = None,
    replays: Annotated[int | None, Option(help="free: updates on each batch. Default 4.")] = None,
    check_steps: Annotated[int | None, Option(help="PGD steps on validation after each epoch. Default 10.")] = None,
    epochs: Annotated[int, Option(help="At most so many passes over the training images.")] = 10,
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
    patience: Annotated[int | None, Option(help="Stop after so many epochs without a more robust model.")] = None,
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
    threads: Annotated[int | None, Option(help="Threads of the processor to use.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print training.json on stdout.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Train against attacked images, from a given model or from fresh weights; the most robust epoch on validation
    is kept.

    Writes a model folder as percuss train does. Stopped or killed, the same command goes on after its last epoch.
    """
    _harden(dict(locals()))


def _harden(given: dict[str, Any]) -> None:
    from percuss.cli.console import talk
    from percuss.cli.train import closing, given_command
    from percuss.defend.settings import TrainSettings, make_settings
    from percuss.pipeline.hardening import DefencePlan
    from percuss.pipeline.training import TrainPlan, train

    if given["pretrained"] and given["weights"]:
        raise UsageError("--weights and --pretrained exclude each other", value=given["weights"])
    plan = TrainPlan(
        data=given["data"],
        model=given["model"],
        weights="pretrained" if given["pretrained"] else given["weights"],
        allow_code=given["allow_code"],
        grey_inside=given["grey_inside"],
        settings=make_settings(**{name: given[name] for name in TrainSettings.model_fields if name in given}),
        defence=DefencePlan(
            name=given["defence"],
            budget=given["budget"],
            settings={name: given[name] for name in OWN if given[name] is not None},
            fresh=given["fresh"],
        ),
    )
    done = train(plan, out=given["out"], progress=talk(quiet=given["quiet"]), command=given_command())
    if done.main and given["as_json"]:
        print(json.dumps(done.record))
    elif done.main and not given["quiet"]:
        split = "test" if done.record["test"] else "val"
        left = done.record["robust"][split]["robust_accuracy"]
        print(f"robust accuracy {left:.3f} at {given['budget']}, {closing(done, allow_code=given['allow_code'])}")
