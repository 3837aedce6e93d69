"""percuss report: the pages of a run, made anew from its rows."""

from __future__ import annotations

from percuss.cli.options import FinishedRun, Quiet, ResultsJson, Verbose


def report(
    run: FinishedRun,
    *,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write results.json, per_image.csv and report.html of a finished run anew, from its rows."""
    from percuss.cli.audit import show
    from percuss.pipeline.audit import rebuild

    show(rebuild(run), as_json=as_json, quiet=quiet)
