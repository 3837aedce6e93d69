"""A published study from its recipe: every step in a folder of its own, then the paper's tables with our numbers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from percuss.core.errors import PercussError, UsageError, nearest
from percuss.core.recipe import Protocol, Recipe, Step, StepRecord, StudyResults
from percuss.pipeline import environment
from percuss.pipeline.progress import Progress
from percuss.pipeline.recipe import open_recipe, values_in_use, values_of
from percuss.pipeline.recipe_files import read_study, write_study
from percuss.pipeline.recipe_steps import FILES, INSIDE, Scene, divided_spec, run_step
from percuss.pipeline.recipe_study import Study
from percuss.report.recipe import beside
from percuss.report.sections import Table
from percuss.store.folder import RunFolder, check_free, identity_hash

_STEPS = "steps.json"
_OPTIONS = ("seed", "settings", "command", "device", "threads", "batch_size", "allow_code")
_LABELLED = re.compile(r"^([A-Za-z0-9_-]+)=(.+)$", re.DOTALL)


@dataclass(frozen=True)
class Reproduced:
    """A finished study: its folder and results.json, typed."""

    path: Path
    results: StudyResults

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "report.html"

    @property
    def tables(self) -> list[Table]:
        """The tables as text cells, the published columns beside ours."""
        return [beside(table, titled=True) for table in self.results.tables]


def reproduce(
    name: str,
    *,
    out: Path | str,
    data: str | Sequence[str] = (),
    protocol: Protocol = "corrected",
    quick: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Reproduced:
    """Run a published study, or go on with it.

    Args:
        name: of ``percuss list recipes``, or the path of a recipe's .toml file.
        out: run folder; one of the same study is continued, a finished one is read.
        data: specs, ``NAME=SPEC`` where there are several; the recipe's synthetic images where none is given.
        protocol: ``corrected``, or ``paper`` for the published protocol with its flaws.
        quick: few images and epochs, to see it run.
        progress: told what happens.
        options: ``seed`` (0); ``settings``, values of the recipe to replace, by name; ``command``, recorded; and
            ``device``, ``threads``, ``batch_size``, ``allow_code`` for every step that knows them.

    Raises:
        PercussError: an unknown or wrong recipe, wrong data, a folder of another run, a step that cannot be done.
    """
    say, path = progress or Progress(), Path(out)
    for key in options:
        if key not in _OPTIONS:
            raise UsageError("unknown option", value=key, allowed=nearest(key, _OPTIONS))
    recipe = open_recipe(name)
    if protocol not in ("corrected", "paper"):
        raise UsageError("unknown protocol", value=protocol, allowed="corrected, paper")
    given = options.pop("settings", None) or {}
    values = values_of(recipe, protocol=protocol, quick=quick, given=given)
    sets = data_sets([data] if isinstance(data, str) else data) or {"images": str(values.get("synthetic", ""))}
    _check_sets(given, sets)
    check_free(path)
    options.setdefault("seed", 0)
    values = values_in_use(values, sets)
    folder = RunFolder.start(path, _identity(recipe, values, protocol, seed=options["seed"], sets=sets))
    try:
        study = Study(recipe, values, protocol, quick, sets, options, folder, _known(path))
        say.line(f"{recipe.title} ({protocol} protocol), in {path}")
        records = [record for key in sets for record in _steps(study, key, say)]
        write_study(study, records)
        folder.finish()
    finally:
        folder.close()
    return Reproduced(path, read_study(path))


def data_sets(texts: Sequence[str]) -> dict[str, str]:
    """Specs by name, from ``SPEC`` or ``NAME=SPEC``; UsageError where two have the same name."""
    found: dict[str, str] = {}
    for text in texts:
        hit = _LABELLED.match(text)
        name, spec = (hit[1], hit[2]) if hit else ("images" if len(texts) == 1 else text.partition(":")[0], text)
        if name in found:
            raise UsageError("two data sets have the same name", value=name, next_step="give --data NAME=SPEC")
        found[name] = spec
    return found


def _identity(
    recipe: Recipe, values: Mapping[str, Any], protocol: str, *, seed: int, sets: Mapping[str, str]
) -> dict[str, str]:
    """What decides the results: the steps and values; tables and figures are drawn anew."""
    steps = json.dumps([step.model_dump(mode="json") for step in recipe.steps])
    return {
        "recipe": recipe.name,
        "steps of the recipe": identity_hash({"json": steps})[:16],
        "protocol": protocol,
        "values": json.dumps(values, sort_keys=True),
        "seed": str(seed),
        "Percuss version": environment.version(),
    } | {f"data {key}": spec for key, spec in sets.items()}


def _check_sets(given: Mapping[str, Any], sets: Mapping[str, str]) -> None:
    """UsageError where a value is given for a data set that is not there."""
    for key in given:
        name, dot, _ = key.partition(".")
        if dot and name not in sets:
            raise UsageError("no such data set", value=key, allowed=nearest(name, sets))


def _known(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads((path / _STEPS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _steps(study: Study, name: str, say: Progress) -> list[StepRecord]:
    """The steps on one data set, in order; a step whose ground was left out is left out too."""
    steps = study.steps_on(name)
    records: dict[str, StepRecord] = {}
    for number, step in enumerate(steps, 1):
        where = study.place(name, step.on[0] if step.kind in INSIDE else step.id)
        say.line(f"step {number} of {len(steps)}, {step.id} ({step.kind}): {study.folder.path / where}")
        records[step.id] = _step(study, name, step, _Turn(where, records, say))
    return list(records.values())


@dataclass(frozen=True)
class _Turn:
    """Where a step lies in the run, what became of the earlier ones, and whom to tell."""

    where: str
    records: dict[str, StepRecord]
    say: Progress


def _step(study: Study, name: str, step: Step, turn: _Turn) -> StepRecord:
    root, file = study.folder.path, FILES[step.kind][0]
    key = f"{name}/{step.id}"
    earlier = [study.state.get(f"{name}/{ground}", {}).get("hash", "") for ground in step.on]
    mark = identity_hash({"step": step.model_dump_json(), "on": " ".join(earlier)})
    known = study.state.get(key, {})
    missing = [ground for ground in step.on if ground not in turn.records or turn.records[ground].state != "done"]
    began, reason = time.monotonic(), f"{', '.join(missing)} was left out" if missing else ""
    if known.get("hash") == mark and (root / turn.where / file).exists() and not reason:
        turn.say.line(f"{step.id} was finished before")
        return _record(name, step, turn.where, seconds=known["seconds"])
    if not reason:
        reason = _done(study, name, step, turn)
    seconds = time.monotonic() - began
    if reason:
        turn.say.line(f"{step.id} is left out: {reason}")
        return _record(name, step, turn.where, reason=reason, seconds=seconds)
    study.state[key] = {"hash": mark, "seconds": seconds}
    study.folder.write(_STEPS, json.dumps(study.state, indent=2) + "\n")
    return _record(name, step, turn.where, seconds=seconds)


def _done(study: Study, name: str, step: Step, turn: _Turn) -> str:
    """Do the step; empty text, or why an optional one could not be done."""
    root = study.folder.path
    on = tuple(root / turn.records[ground].folder for ground in step.on)
    scene = Scene(_spec(study, name, step), root / turn.where, on, study.given, turn.say)
    try:
        run_step(step, scene)
    except PercussError as error:
        if not step.optional:
            raise
        return str(error)
    return ""


def _spec(study: Study, name: str, step: Step) -> str:
    """The data spec, with the splits that the training below the step drew."""
    by_id = {one.id: one for one in study.steps_on(name)}
    ground = step
    while ground.on and (ground.kind != "train" or ground is step):
        ground = by_id[ground.on[0]]
    if ground is step or ground.kind != "train":
        return study.data[name]
    return divided_spec(study.folder.path / study.place(name, ground.id))


def _record(name: str, step: Step, where: str, *, seconds: float, reason: str = "") -> StepRecord:
    page = FILES[step.kind][1]
    return StepRecord(
        data=name,
        id=step.id,
        kind=step.kind,
        about=step.about,
        state="left out" if reason else "done",
        reason=reason,
        folder=where,
        page=f"{where}/{page}" if page and not reason else "",
        seconds=round(seconds, 2),
    )
