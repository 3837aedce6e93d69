"""percuss report: the pages of a run, made anew from its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="Run folder of percuss audit.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Write results.json, per_image.csv and report.html of a finished run anew, from its rows."""
    from percuss.cli.audit import show
    from percuss.pipeline.audit import rebuild

    show(rebuild(run), as_json=as_json, quiet=quiet)
