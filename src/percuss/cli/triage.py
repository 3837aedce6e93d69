"""percuss triage: which images of a finished audit a human should see."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from percuss.cli.options import (
    AllowCode,
    FinishedRun,
    Quiet,
    RunBatchSize,
    RunData,
    RunDevice,
    RunModel,
    RunThreads,
    RunWeights,
    Verbose,
)

Option = typer.Option


def triage(  # noqa: PLR0913
    run: FinishedRun,
    *,
    share: Annotated[float, Option(help="Share of the images to refer to a human, above 0 and below 1.")] = 0.2,
    calibrate: Annotated[
        str, Option(help="Split on which thresholds are chosen; the run's own split chooses them as published.")
    ] = "val",
    norm: Annotated[str | None, Option(help="linf, l2, l1 or l0. Default the run's first.")] = None,
    sizes: Annotated[
        str | None, Option(help="FROM:TO:NUMBER or a list. Default 33 in equal ratios up to the run's largest.")
    ] = None,
    attack: Annotated[str, Option(help="curve searches all sizes at once; any other attack is bisected.")] = "curve",
    effort: Annotated[str | None, Option(help="quick, standard or thorough, for attacks that know it.")] = None,
    limit: Annotated[int | None, Option(min=1, help="At most so many calibration images.")] = None,
    data: RunData = None,
    model: RunModel = None,
    weights: RunWeights = None,
    allow_code: AllowCode = False,
    device: RunDevice = None,
    batch_size: RunBatchSize = None,
    threads: RunThreads = None,
    as_json: Annotated[bool, Option("--json", help="Print triage.json on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Hand the images whose decision the smallest changes alter to a human: does that beat plain confidence?

    Writes triage.json, refer.csv and triage.html into the run. Stopped or killed, the same command goes on.
    """
    from percuss.cli.console import print_findings, talk
    from percuss.pipeline.triage import triage as refer

    found = refer(
        run,
        share=share,
        calibrate=calibrate,
        norm=norm,
        sizes=sizes,
        attack=attack,
        effort=effort,
        limit=limit,
        data=data,
        model=model,
        progress=talk(quiet=quiet),
        weights=weights,
        allow_code=allow_code or None,
        device=device,
        batch_size=batch_size,
        threads=threads,
    )
    if as_json:
        print(json.dumps(found.record, allow_nan=False))
    elif not quiet:
        print_findings(found.findings)
        print(found.table.text())
        if found.found.more:
            print(found.found.answer)
        print(f"\npage: {run / 'triage.html'}; images to refer: {run / 'refer.csv'}")
