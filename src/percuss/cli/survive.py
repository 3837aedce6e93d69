"""percuss survive: which flips of a finished audit are left after storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from percuss.cli.options import (
    AllowCode,
    FinishedRun,
    Quiet,
    ResultsJson,
    RunBatchSize,
    RunData,
    RunDevice,
    RunModel,
    RunThreads,
    RunWeights,
    Verbose,
    names_in,
)

if TYPE_CHECKING:
    from percuss.pipeline.run import Run

Option = typer.Option


def survive(  # noqa: PLR0913
    run: FinishedRun,
    *,
    formats: Annotated[
        list[str] | None,
        Option(
            "--format", help="Formats, by commas or repeated: native, png, dicom8, jpeg90, ... Default all that fit."
        ),
    ] = None,
    data: RunData = None,
    model: RunModel = None,
    weights: RunWeights = None,
    allow_code: AllowCode = False,
    device: RunDevice = None,
    batch_size: RunBatchSize = None,
    threads: RunThreads = None,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Send the attacked images of a finished audit through PNG, DICOM and JPEG and back: which flips are left?

    The table goes into the run's results.json and report.html. Stopped or killed, the same command goes on.
    """
    from percuss.cli.audit import show
    from percuss.cli.console import talk
    from percuss.pipeline.survive import survive as send

    names = names_in(formats)
    done = send(
        run,
        data=data,
        model=model,
        formats=names or None,
        progress=talk(quiet=quiet),
        weights=weights,
        allow_code=allow_code or None,
        device=device,
        batch_size=batch_size,
        threads=threads,
    )
    if not (as_json or quiet):
        _table(done)
    show(done, as_json=as_json, quiet=quiet)


def _table(done: Run) -> None:
    from percuss.report.numbers import decimal

    for row in done.results.survival:
        if row.auc_pr is not None and row.auc_pr_clean is not None:
            print(
                f"{row.norm} {row.format}: AUC-PR {decimal(row.auc_pr)} attacked, {decimal(row.auc_pr_clean)} without"
            )
            continue
        share = "–" if row.flips.value is None else f"{row.flips.value:.1%}"
        ends = "" if row.flips.low is None else f" [{row.flips.low:.1%}, {row.flips.high:.1%}]"
        print(f"{row.norm} {row.format}: {share}{ends} of {row.flips.n} flips left")
