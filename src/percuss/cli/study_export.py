"""percuss study export: a closed study as files that need no Percuss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from percuss.cli.options import StudyDatabase, StudyJson, StudyPath, StudySecret, Verbose


def export(
    study: StudyPath,
    *,
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    secret: StudySecret = None,
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Write a closed study as files: answers, orders, cases and readers as CSV, protocol, key, trail, and for iMRMC.

    The folder then tells every arm and every truth. manifest.json has the SHA-256 of each file.
    """
    from percuss.cli.study_open import opened

    with opened(study, database) as target:
        from percuss.study.exporting import export_study
        from percuss.study.seal import load_key

        files = export_study(target, load_key(target.folder, secret), out=out)
    if as_json:
        print(json.dumps({"out": str(out), "files": files}))
    else:
        print(f"{out}: {', '.join([*files, 'manifest.json'])}")
