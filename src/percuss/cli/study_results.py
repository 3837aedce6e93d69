"""percuss study results: what a closed study shows."""

from __future__ import annotations

import json
from shlex import quote
from typing import Annotated

import typer

from percuss.cli.options import StudyDatabase, StudyJson, StudyPath, StudySecret, Verbose


def results(
    study: StudyPath,
    *,
    secret: StudySecret = None,
    unsound: Annotated[
        bool, typer.Option("--unsound", help="Compute although percuss study verify finds faults; listed as severe.")
    ] = False,
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Open the key of a closed study, compute its results, and write results.json and report.html into it.

    True positives by copy and arm, each endpoint with interval and verdict, agreement, detection and the size that
    readers see beside the size that flips the model, and every deviation from the protocol.
    """
    from percuss.pipeline.study_results import study_results

    found = study_results(study, secret, database=database, unsound=unsound)
    if as_json:
        print(json.dumps(found.results.model_dump(mode="json"), allow_nan=False))
    else:
        print(found.text)
        print(f"\nreport: {found.report_path}\nnumbers: {found.json_path}")
        print(f"in the audit's report (run {found.results.study.run}): percuss report RUN --study {quote(str(study))}")
