"""percuss transfer: does an attack made on one model flip another?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from percuss.core.errors import UsageError

Option = typer.Option


def transfer(  # noqa: PLR0913
    models: Annotated[list[str], typer.Argument(help="Two or more models: folders, timm:NAME, torchvision:NAME, ...")],
    *,
    data: Annotated[str, Option(help="Images: folder:PATH, csv:PATH, medmnist:PATH.npz or synthetic:tissue.")],
    out: Annotated[Path, Option(help="Run folder to make, or to go on with.")],
    budget: Annotated[list[str], Option(help="Sizes of one norm, linf=2/255,8/255; repeat for other norms.")],
    attack: Annotated[list[str] | None, Option(help="Attacks, by commas or repeated. Default pgd.")] = None,
    split: Annotated[str, Option(help="A split, all, or auto: test where there is one.")] = "auto",
    limit: Annotated[int | None, Option(help="At most so many images, each class with its share.")] = None,
    seed: Annotated[int, Option(help="Decides all randomness.")] = 0,
    batch_size: Annotated[int, Option(help="Images at once; results do not depend on it.")] = 32,
    steps: Annotated[int | None, Option(help="Steps of the attacks that take steps.")] = None,
    restarts: Annotated[int | None, Option(help="Runs from fresh starts for images not yet flipped.")] = None,
    weights: Annotated[
        list[str] | None, Option(help="Weights files in the order of the models, or one for all.")
    ] = None,
    pretrained: Annotated[bool, Option("--pretrained", help="Load each network's own pretrained weights.")] = False,
    allow_code: Annotated[bool, Option("--allow-code", help="Let factory: run the code it names.")] = False,
    grey_inside: Annotated[
        bool, Option("--grey-inside", help="Let a colour network take grey images; changes stay grey.")
    ] = False,
    device: Annotated[str, Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, Option(help="Threads of the processor to use.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print results.json on stdout.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Attack each model and judge the images on all of them: a matrix of what transfers, beside noise.

    Writes transfer.html, results.json, matrix.csv and per_image.csv. Stopped or killed, the same command goes on.
    """
    from percuss.cli.console import talk
    from percuss.pipeline.transfer import transfer as run

    if pretrained and weights:
        raise UsageError("--weights and --pretrained exclude each other", value=", ".join(weights))
    options: dict[str, Any] = {
        "budgets": budget,
        "attacks": attack or "pgd",
        "split": split,
        "limit": limit,
        "seed": seed,
        "batch_size": batch_size,
        "steps": steps,
        "restarts": restarts,
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
        for finding in found.findings:
            print(f"{finding.severity}: {finding.message} [{finding.id}]")
        print("\n\n".join(table.text() for table in found.tables))
        print(f"\npage: {out / 'transfer.html'}")
