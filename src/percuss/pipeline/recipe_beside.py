"""The table of a study that sets its data sets beside their controls."""

from __future__ import annotations

from collections.abc import Mapping

from percuss.core.recipe import FilledTable
from percuss.core.results import Interval
from percuss.pipeline.fragility import fragility
from percuss.pipeline.recipe_cells import Source
from percuss.pipeline.recipe_study import Study
from percuss.report.numbers import bracket_plain

_WORDS = ("set", "control", "measure of the smallest flip, median")
_COLUMNS = ("difference, absolute", "difference, against contrast", "what it shows")


def beside(study: Study, sources: Mapping[str, Source]) -> tuple[FilledTable, ...]:
    """Each set minus each control, or nothing where the recipe asks for none or a set or a control is missing."""
    wanted = study.recipe.beside
    if wanted is None:
        return ()
    runs = {name: file.parent for name, source in sources.items() if (file := source.files.get(wanted.step))}
    controls = [name for name in wanted.controls if name in runs]
    if not controls or set(runs) <= set(controls):
        return ()
    found = fragility(runs, controls=controls, seed=study.given["seed"])
    labels = [(item.data, item.control, f"{item.norm}: {item.measure}") for item in found]
    made = FilledTable(
        id=wanted.id,
        title=wanted.title,
        columns=(*_WORDS, *_COLUMNS),
        words=len(_WORDS),
        rows=tuple(
            (*label, item.absolute.value, item.relative.value, item.answer)
            for label, item in zip(labels, found, strict=True)
        ),
        text=tuple(
            (*label, _shown(item.absolute), _shown(item.relative), item.answer)
            for label, item in zip(labels, found, strict=True)
        ),
        published=None,
        notes=wanted.notes,
    )
    return (made,)


def _shown(gap: Interval) -> str:
    return bracket_plain(gap, signed=True)
