"""percuss pack: true positives, original and attacked, for readers who must not know which is which."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from percuss.cli.options import FinishedRun, Quiet, RunFolderOut, Seed, Verbose

Option = typer.Option


def pack(  # noqa: PLR0913
    run: FinishedRun,
    *,
    out: RunFolderOut,
    cases: Annotated[int, Option(help="So many true positives that the attack flips as stored.")] = 20,
    copies: Annotated[int, Option(help="Copies of each form, each in a set of its own.")] = 2,
    budget: Annotated[
        str | None, Option(help="Flipped within this budget of the run. Default the largest of its first norm.")
    ] = None,
    positive: Annotated[str | None, Option(help="The class of the cases. Default the last one.")] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, Option("--json", help="Print pack.json on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Export cases of a finished audit, as they are and attacked, blinded for a reading; the key stays apart.

    Writes reader/ (numbered PNG files that are alike in all but their pixels, and manifest.json), which is handed out,
    key/ (key.json, key.csv), which is not, and pack.json.
    """
    from percuss.cli.console import talk
    from percuss.pipeline.pack import pack as export

    options = {"cases": cases, "copies": copies, "positive": positive, "seed": seed}
    made = export(run, out=out, budget=budget, progress=talk(quiet=quiet), **options)
    if as_json:
        print(json.dumps(made.record))
    elif not quiet:
        said = made.record
        drawn = f"{said['cases']} of {said['eligible']} true positives ({said['positive']})"
        print(f"{drawn} flipped within {said['budget']}")
        print(f"hand out {made.reader}; keep {out / 'key'}")
