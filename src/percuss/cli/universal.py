"""percuss universal: one change that flips as many images as can be."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from percuss.cli.options import (
    AllowCode,
    Device,
    GreyInside,
    Pretrained,
    Quiet,
    Region,
    ResultsJson,
    RunFolderOut,
    Seed,
    Threads,
    Verbose,
    Weights,
    one_start,
)

Option = typer.Option


def universal(  # noqa: PLR0913
    model: Annotated[
        str, typer.Argument(help="Model: a folder of percuss train, timm:NAME, torchvision:NAME or factory:...")
    ],
    *,
    data: Annotated[str, Option(help="Images with splits: folder:PATH, csv:PATH, medmnist:PATH.npz, ...")],
    out: RunFolderOut,
    budget: Annotated[str, Option(help="Norm and size of the change: linf=8/255, l2=rms:0.02, l0=1%, ...")],
    method: Annotated[str, Option(help="batched, or sgd: one update for each example, as published.")] = "batched",
    train_split: Annotated[str, Option(help="Split the change is made on.")] = "train",
    split: Annotated[str, Option(help="Split it is judged on, unseen.")] = "test",
    epochs: Annotated[int, Option(help="Passes over the training images.")] = 10,
    rate: Annotated[float | None, Option(help="Length of a step as a share of the budget.")] = None,
    group: Annotated[int, Option(help="Images that decide one step of the method batched.")] = 8,
    only: Annotated[str | None, Option(help="Make the change on images of this class alone.")] = None,
    limit: Annotated[int | None, Option(help="At most so many judged images, each class with its share.")] = None,
    train_limit: Annotated[int | None, Option(help="At most so many training images.")] = None,
    region: Region = None,
    judge: Annotated[
        list[str] | None, Option(help="Another model that the change is added for too; repeat for several.")
    ] = None,
    seeds: Annotated[int, Option(help="So many changes, each with a seed of its own, and their spread.")] = 1,
    seed: Seed = 0,
    batch_size: Annotated[int, Option(help="Images judged at once; results do not depend on it.")] = 32,
    weights: Weights = None,
    pretrained: Pretrained = False,
    allow_code: AllowCode = False,
    grey_inside: GreyInside = False,
    device: Device = "auto",
    threads: Threads = None,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search one change for all images on one split and judge it on another, beside noise of the same size.

    Writes perturbation.npz and .png, universal.html, results.json and per_image.csv. Stopped or killed, the same
    command goes on after its last epoch.
    """
    from percuss.cli.console import print_findings, talk
    from percuss.pipeline.universal import universal as run
    from percuss.report.universal import areas_table, dice_table, judges_table

    one_start(weights, pretrained=pretrained)
    options: dict[str, Any] = {
        "method": method,
        "train_split": train_split,
        "split": split,
        "epochs": epochs,
        "rate": rate,
        "group": group,
        "only": only,
        "limit": limit,
        "train_limit": train_limit,
        "region": region,
        "judges": tuple(judge or ()),
        "seeds": seeds,
        "seed": seed,
        "batch_size": batch_size,
        "weights": "pretrained" if pretrained else weights,
        "allow_code": allow_code,
        "grey_inside": grey_inside,
        "device": device,
        "threads": threads,
    }
    found = run(model, data=data, budget=budget, out=out, progress=talk(quiet=quiet), **options)
    if as_json:
        print(json.dumps(found.record, allow_nan=False))
    elif not quiet:
        print_findings(found.findings)
        print(found.table.text())
        if found.tallies[0].auc_pr:
            print(f"\n{areas_table({'': found.tallies, **found.transfer}).text()}")
        if any(item.dice for item in found.tallies):
            print(f"\n{dice_table(found.tallies).text()}")
        if found.transfer:
            print(f"\n{judges_table(found.transfer).text()}")
        print(f"\npage: {out / 'universal.html'}; the change: {out / 'perturbation.npz'}")
