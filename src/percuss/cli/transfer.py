"""percuss transfer: does an attack made on one model flip another?"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from percuss.cli.options import (
    AllowCode,
    BatchSize,
    Device,
    GreyInside,
    ImagesSpec,
    Limit,
    Quiet,
    Region,
    Restarts,
    ResultsJson,
    RunFolderOut,
    Seed,
    Split,
    Steps,
    Threads,
    Verbose,
    one_start,
)

Option = typer.Option


def transfer(  # noqa: PLR0913
    models: Annotated[list[str], typer.Argument(help="Two or more models: folders, timm:NAME, torchvision:NAME, ...")],
    *,
    data: ImagesSpec,
    out: RunFolderOut,
    budget: Annotated[list[str], Option(help="Sizes of one norm, linf=2/255,8/255; repeat for other norms.")],
    attack: Annotated[list[str] | None, Option(help="Attacks, by commas or repeated. Default pgd.")] = None,
    split: Split = "auto",
    limit: Limit = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    steps: Steps = None,
    restarts: Restarts = None,
    region: Region = None,
    weights: Annotated[
        list[str] | None, Option(help="Weights files in the order of the models, or one for all.")
    ] = None,
    pretrained: Annotated[bool, Option("--pretrained", help="Load each network's own pretrained weights.")] = False,
    allow_code: AllowCode = False,
    grey_inside: GreyInside = False,
    device: Device = "auto",
    threads: Threads = None,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Attack each model and judge the images on all of them: a matrix of what transfers, beside noise.

    Writes transfer.html, results.json, matrix.csv and per_image.csv. Stopped or killed, the same command goes on.
    """
    from percuss.cli.console import print_findings, talk
    from percuss.pipeline.transfer import transfer as run

    one_start(weights, pretrained=pretrained)
    options: dict[str, Any] = {
        "budgets": budget,
        "attacks": attack or "pgd",
        "split": split,
        "limit": limit,
        "seed": seed,
        "batch_size": batch_size,
        "steps": steps,
        "restarts": restarts,
        "region": region,
        "allow_code": allow_code,
        "grey_inside": grey_inside,
        "device": device,
        "threads": threads,
    }
    files = ["pretrained"] if pretrained else weights or []
    found = run(models, data=data, out=out, weights=files, progress=talk(quiet=quiet), **options)
    if as_json:
        print(json.dumps(found.record, allow_nan=False))
    elif not quiet:
        print_findings(found.findings)
        print("\n\n".join(table.text() for table in found.tables))
        print(f"\npage: {out / 'transfer.html'}")
