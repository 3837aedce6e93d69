"""The files of a study: results.json with its tables, and the report that holds them beside the published ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from percuss.core.errors import RunError
from percuss.core.recipe import FilledTable, StepRecord, StudyFinding, StudyResults
from percuss.pipeline import environment
from percuss.pipeline.recipe_beside import beside
from percuss.pipeline.recipe_cells import Source, fill
from percuss.pipeline.recipe_figures import draw_figures
from percuss.pipeline.recipe_steps import FILES
from percuss.pipeline.recipe_study import Study
from percuss.report.recipe import Shown, sections
from percuss.report.sections import write_sections

RESULTS = "results.json"


def write_study(study: Study, records: Sequence[StepRecord]) -> StudyResults:
    """Write results.json and report.html of a study whose steps are done or left out."""
    root, folder = study.folder.path, study.folder
    sources = {
        name: Source(
            {item.id: root / item.folder / FILES[item.kind][0] for item in records if _of(item, name)},
            study.values_on(name),
        )
        for name in study.data
    }
    figures = draw_figures(study, records)
    found = StudyResults(
        percuss_version=environment.version(),
        recipe=study.recipe.name,
        title=study.recipe.title,
        paper=study.recipe.paper,
        run_id=folder.run_id,
        started=folder.manifest["started"],
        command=str(study.given.get("command", "")),
        protocol=study.protocol,
        quick=study.quick,
        seed=study.given["seed"],
        data=study.data,
        values=study.values,
        steps=tuple(records),
        findings=tuple(_findings(root, records)),
        tables=_tables(study, sources),
        figures=tuple(figure.record for figure in figures),
        not_covered=study.recipe.not_covered,
    )
    folder.write(RESULTS, found.model_dump_json(indent=2) + "\n")
    read_study(root)
    write_sections(
        root / "report.html",
        sections(found, study.recipe.about, Shown(root, tuple(figures))),
        title=study.recipe.title,
        meta=f"{found.started[:10]} · {study.protocol} protocol · run {found.run_id[:12]}",
        version=environment.version(),
    )
    return found


def _tables(study: Study, sources: dict[str, Source]) -> tuple[FilledTable, ...]:
    filled = (fill(table, sources, protocol=study.protocol) for table in study.recipe.tables)
    return (*filled, *beside(study, sources))


def read_study(path: Path) -> StudyResults:
    """results.json of a finished study, checked; RunError where it is missing or does not fit."""
    try:
        return StudyResults.model_validate_json((path / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise RunError(
            "the folder holds no finished study", value=path, next_step="give its percuss reproduce command again"
        ) from error


def _of(item: StepRecord, name: str) -> bool:
    return item.data == name and item.state == "done"


def _findings(root: Path, records: Sequence[StepRecord]) -> list[StudyFinding]:
    """What the steps doubt, each once."""
    found: dict[str, StudyFinding] = {}
    for item in records:
        path = root / item.folder / FILES[item.kind][0]
        if item.state != "done" or item.kind == "survive" or not path.exists():
            continue
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        for one in content.get("findings", ()):
            step = f"{item.data}/{item.id}"
            found[f"{step} {one['id']} {one['message']}"] = StudyFinding(step=step, **one)
    return list(found.values())
