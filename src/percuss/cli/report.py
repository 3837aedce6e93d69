"""percuss report: the pages of a run, made anew from its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from percuss.cli.options import FinishedRun, Quiet, ResultsJson, Verbose


def report(
    run: FinishedRun,
    *,
    study: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="STUDY",
            help="Folder of a closed reader study of this run: its results join the report, and stay; repeatable.",
        ),
    ] = None,
    no_study: Annotated[
        bool, typer.Option("--no-study", help="Take the reader studies that joined before out of the report.")
    ] = False,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write results.json, per_image.csv and report.html of a finished run anew, from its rows."""
    from percuss.cli.audit import show
    from percuss.pipeline.audit import rebuild

    done = rebuild(run, studies=study or (), forget_studies=no_study)
    show(done, as_json=as_json, quiet=quiet)
    if not (as_json or quiet):
        for item in done.results.reader_study:
            verdicts = "; ".join(f"{one.name}: {one.verdict}" for one in item.endpoints if one.role == "primary")
            print(f"reader study: {item.title} ({item.id}): {verdicts}")
