"""The figures of a recipe: which steps each is drawn from, its files in ``figures/``, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from percuss.core.errors import RunError
from percuss.core.recipe import FigureRecord, FigureSpec, StepRecord
from percuss.pipeline.recipe import combinations, filled, put_in, step_name
from percuss.pipeline.recipe_study import Study
from percuss.report.sections import Panel
from percuss.report.study_curves import Ground
from percuss.report.study_figures import Figure, draw, files_of

FOLDER = "figures"


def draw_figures(study: Study, records: Sequence[StepRecord]) -> list[Figure]:
    """Draw every figure of the recipe on every data set and write its files; what cannot be drawn says why."""
    return [_figure(study, spec, records) for spec in study.recipe.figures]


def _figure(study: Study, spec: FigureSpec, records: Sequence[StepRecord]) -> Figure:
    panels: list[Panel] = []
    files: list[str] = []
    missing: dict[str, str] = {}
    alone = len(study.data) == 1
    for name in study.data:
        try:
            steps = _steps(study, spec, records, name)
            made = draw(spec, Ground(steps, name, alone, study.protocol))
        except RunError as error:
            missing["" if alone else name] = f"{error.thing} ({error.value})"
            continue
        panels += made
        for end, content in files_of(made):
            file = f"{FOLDER}/{spec.id}{'' if alone else f'-{step_name(name, {})}'}{end}"
            study.folder.write(file, content)
            files.append(file)
    words = {key: getattr(spec, key) for key in ("id", "title", "kind", "caption", "paper")}
    return Figure(FigureRecord(**words, files=tuple(files), missing=missing), tuple(panels))


def _steps(study: Study, spec: FigureSpec, records: Sequence[StepRecord], name: str) -> tuple[tuple[str, Path], ...]:
    """Name and folder of each step that was done; RunError where none was, with the first reason."""
    known = {record.id: record for record in records if record.data == name}
    values, found, reasons = study.values_on(name), [], []
    for one in combinations(spec.each, values):
        for template, label in zip(spec.of, spec.label or spec.of, strict=True):
            record = known.get(step_name(template, one))
            if record is None or record.state != "done":
                lost = f"the step {step_name(template, one)} is not part of the {study.protocol} protocol"
                reasons.append(lost if record is None else f"{record.id} was left out: {record.reason}")
                continue
            found.append((str(filled(put_in(label, values), one)), study.folder.path / record.folder))
    if not found:
        raise RunError("no step to draw from", value="; ".join(dict.fromkeys(reasons)))
    return tuple(dict.fromkeys(found))
