"""The building blocks as steps of a recipe: each called with plain options, in its own folder."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from percuss.core.errors import UsageError
from percuss.core.recipe import Kind, Step
from percuss.data.options import spec_text
from percuss.data.spec import parse_spec
from percuss.defend.settings import make_settings
from percuss.pipeline.hardening import DefencePlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.training import TrainPlan, train
from percuss.pipeline.trainsets import divide

#: The file in which each block leaves its numbers, and the page it writes.
FILES: dict[Kind, tuple[str, str]] = {
    "train": ("training.json", ""),
    "audit": ("results.json", "report.html"),
    "universal": ("results.json", "universal.html"),
    "transfer": ("results.json", "transfer.html"),
    "compare": ("results.json", "compare.html"),
    "triage": ("triage.json", "triage.html"),
    "survive": ("results.json", "report.html"),
    "explain": ("explain.json", "explain.html"),
    "pack": ("pack.json", ""),
    "fragility": ("fragility.json", ""),
}
#: Blocks that add to the folder of the audit they work on.
INSIDE: tuple[Kind, ...] = ("triage", "survive", "explain", "fragility")
#: Options that the command hands to every block.
_PLACE = ("device", "threads", "allow_code", "batch_size")


@dataclass(frozen=True)
class Scene:
    """Where a step works: the data spec, its folder, the folders it works on, options of the command, and a teller."""

    data: str
    folder: Path
    on: tuple[Path, ...]
    shared: Mapping[str, Any]
    say: Progress

    def place(self, *names: str) -> dict[str, Any]:
        """Options of the command that a block knows and that were given."""
        return {name: self.shared[name] for name in names if self.shared.get(name) is not None}


def run_step(step: Step, scene: Scene) -> None:
    """Do a step, or go on with it. PercussError as its block; UsageError where the block is not there.

    Beside its block's own options a step knows ``reading`` (options of the data spec to set, or to take off where
    empty), and an audit ``front`` (written before the model, as ``sharpened:``).
    """
    options = dict(step.options)
    if "reading" in options:
        scene = replace(scene, data=reread(scene.data, options.pop("reading")))
    _RUNNERS[step.kind](options, scene)


def reread(spec: str, changes: Mapping[str, str]) -> str:
    """A data spec with options set, or taken off where their new value is empty."""
    if not changes:
        return spec
    scheme, location, options = parse_spec(spec)
    merged = {**options, **changes}
    return spec_text(scheme, location, {name: value for name, value in merged.items() if value != ""})


def _train(options: dict[str, Any], scene: Scene) -> None:
    if scene.on:
        options["model"] = str(scene.on[0])
    given = {"seed": scene.shared["seed"], **scene.place("device", "threads")}
    # Splits that the set does not declare follow from the study's seed, so that every training tests the same images.
    data = divide(scene.data, scene.shared["seed"]).spec
    plan = _train_plan({**scene.place("allow_code"), **options}, data, given)
    train(plan, out=scene.folder, progress=scene.say)


def _train_plan(options: dict[str, Any], data: str, given: Mapping[str, Any]) -> TrainPlan:
    """The plan from options of a training and of its settings; ``given`` stands behind the latter."""
    own = {name: options.pop(name) for name in [*options] if name in TrainPlan.model_fields and name != "settings"}
    if own.get("defence") is not None:
        own["defence"] = DefencePlan.model_validate(own["defence"])
    settings = make_settings(**{**given, **options})
    return TrainPlan(**{"data": data, "model": "", **own, "settings": settings})


def _audit(options: dict[str, Any], scene: Scene) -> None:
    from percuss.pipeline.interface import audit

    given = {**scene.place(*_PLACE), "seed": scene.shared["seed"], **options}
    front = given.pop("front", "")
    model = f"{front}{scene.on[0]}" if scene.on else given.pop("model")
    audit(data=scene.data, model=model, out=scene.folder, progress=scene.say, **given)


def _universal(options: dict[str, Any], scene: Scene) -> None:
    from percuss.pipeline.universal import universal

    given = {**scene.place(*_PLACE), "seed": scene.shared["seed"], **options}
    model = str(scene.on[0]) if scene.on else given.pop("model")
    given |= {"judges": tuple(str(path) for path in scene.on[1:])}
    universal(model, data=scene.data, out=scene.folder, progress=scene.say, **given)


def _transfer(options: dict[str, Any], scene: Scene) -> None:
    from percuss.pipeline.transfer import transfer

    given = {**scene.place(*_PLACE), "seed": scene.shared["seed"], **options}
    models = [str(path) for path in scene.on]
    transfer(models, data=scene.data, out=scene.folder, progress=scene.say, **given)


def _compare(options: dict[str, Any], scene: Scene) -> None:
    from percuss.pipeline.compare import compare

    compare(scene.on, out=scene.folder, seed=scene.shared["seed"], **options)


def _pack(options: dict[str, Any], scene: Scene) -> None:
    from percuss.pipeline.pack import pack

    pack(scene.on[0], out=scene.folder, progress=scene.say, **{"seed": scene.shared["seed"], **options})


def _within(module: str, name: str) -> Callable[[dict[str, Any], Scene], None]:
    def inside(options: dict[str, Any], scene: Scene) -> None:
        try:
            block = getattr(importlib.import_module(f"percuss.pipeline.{module}"), name)
        except (ImportError, AttributeError) as error:
            raise UsageError("this building block is not there", value=module, next_step="update Percuss") from error
        block(scene.on[0], progress=scene.say, **scene.place(*_PLACE), **options)

    return inside


_RUNNERS: dict[Kind, Callable[[dict[str, Any], Scene], None]] = {
    "train": _train,
    "audit": _audit,
    "universal": _universal,
    "transfer": _transfer,
    "compare": _compare,
    "pack": _pack,
    "fragility": _within("fragility", "smallest_flips"),
    "triage": _within("triage", "triage"),
    "survive": _within("survive", "survive"),
    "explain": _within("explain", "explain_run"),
}


def divided_spec(folder: Path) -> str:
    """The data spec under which others find the splits that a finished training drew."""
    found: str = json.loads((folder / "training.json").read_text(encoding="utf-8"))["data"]
    return found


def check_options(step: Step) -> None:
    """UsageError where a step has an option that its block does not take, or one out of its range."""
    options = {name: value for name, value in step.options.items() if name not in ("reading", "front")}
    if step.kind == "train":
        _train_plan(options, "synthetic:tissue", {"seed": 0})
        return
    if step.kind == "audit":
        from percuss.pipeline.plan import make_plan

        make_plan(data="synthetic:tissue", **{"model": "timm:resnet18", **options})
