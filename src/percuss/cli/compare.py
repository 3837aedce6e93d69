"""percuss compare: finished audits set against each other on the same images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from percuss.cli.options import Quiet, ResultsJson, Verbose

Option = typer.Option


def compare(  # noqa: PLR0913
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders of percuss audit.")],
    *,
    out: Annotated[Path | None, Option(help="Folder to make, for compare.html and results.json.")] = None,
    shared: Annotated[
        bool, Option("--shared", help="Leave out images and budgets that not all runs have, instead of an error.")
    ] = False,
    pooled: Annotated[
        bool,
        Option("--pooled", help="Two kinds of models over training seeds: all of the first, then all of the second."),
    ] = False,
    seed: Annotated[int, Option(help="Of the bootstrap over patients.")] = 0,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare finished audits: paired differences on the same images, with intervals and exact McNemar tests.

    Images are checked by the hash of their pixels; runs on other images, labels or budgets are refused.
    """
    from percuss.cli.console import print_findings
    from percuss.pipeline.compare import compare as run

    found = run(runs, out=out, shared=shared, pooled=pooled, seed=seed)
    if as_json:
        print(json.dumps(found.record(), allow_nan=False))
    elif not quiet:
        print("\n".join(found.sentences))
        print_findings(found.findings)
        print("\n" + found.table.text())
        if found.heat_table is not None:
            print("\n" + found.heat_table.text())
        elif found.mask_table is not None:
            print("\n" + found.mask_table.text())
        print(f"\npage: {out / 'compare.html'}" if out else "\ngive --out for the page with the curves")
