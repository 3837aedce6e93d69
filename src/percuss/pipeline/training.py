"""A training from data to a model folder: divide, load, fit, score, write."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict

from percuss.core.errors import RunError, UsageError
from percuss.core.images import DENSE, Tensors
from percuss.core.model import Model
from percuss.defend.hardening import Hardening
from percuss.defend.resume import LAST
from percuss.defend.settings import TrainSettings
from percuss.defend.training import TrainData, TrainResult, fit
from percuss.models.checkpoint import save_model
from percuss.models.spec import anew, load_model, takes_size
from percuss.pipeline import environment
from percuss.pipeline.augmented import FOLDER, Prepared, prepared
from percuss.pipeline.encoders import FOLDER as ENCODER
from percuss.pipeline.encoders import learned, remembered
from percuss.pipeline.fold_scores import csv_of, spread_of
from percuss.pipeline.hardening import DefencePlan, check_start, defence, defence_record
from percuss.pipeline.inputs import match
from percuss.pipeline.progress import Progress
from percuss.pipeline.scoring import SCORES, scored
from percuss.pipeline.trainsets import Division, divide, fold_divisions, read
from percuss.store.safe import write_bytes

Scores = dict[str, Any]


class TrainPlan(BaseModel):
    """Everything ``percuss train`` is told.

    Attributes:
        data, model: specs.
        weights: None (random start), ``pretrained`` or a file.
        allow_code: let ``factory:`` run.
        grey_inside: let a colour network take grey images.
        folds, repeats: cross-validation before the training; None for none.
        select: split whose loss chooses the epoch; ``test`` only to repeat a published protocol, with a finding.
        settings: of the training itself.
        defence: None for plain training.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    model: str
    weights: str | None = None
    allow_code: bool = False
    grey_inside: bool = False
    folds: int | None = None
    repeats: int = 1
    select: Literal["val", "test"] = "val"
    settings: TrainSettings = TrainSettings()
    defence: DefencePlan | None = None


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        path: model folder: model.json, model.safetensors, history.csv, splits.csv, training.json.
        record: training.json.
        audit_data: the data spec under which an audit finds the same test split.
        main: False in the helping processes of a training on several devices.
    """

    path: Path
    record: dict[str, Any]
    audit_data: str
    main: bool = True

    @property
    def scores(self) -> Scores:
        """Scores on the test split, or on the validation split where there is no test split."""
        found: Scores = self.record["test"] or self.record["val"]
        return found


def train(plan: TrainPlan, *, out: Path, progress: Progress | None = None, command: str = "") -> Trained:
    """Train a model; a stopped training in ``out`` goes on, a finished one is scored again.

    The best epoch is chosen on the validation split; the test split is used once, at the end.

    Raises:
        PercussError: wrong data, model or options, a folder of another training, a loss that is not finite.
    """
    say, settings = progress or Progress(), plan.settings
    _check(plan, out)
    began = time.monotonic()
    with environment.threads(settings.threads):
        division = divide(plan.data, settings.seed)
        if division.drawn:
            say.line(division.drawn)
        folds = cross_validate(plan, division, out, progress=say) if plan.folds else []
        data = TrainData(read(division, division.train, "training"), _choosing(plan, division))
        say.line(_opening(plan, division, data))
        model = _model(plan, division, data.train)
        recipe = _recipe(plan, division, data)
        encoder = learned(model, data.train, settings, out=out, progress=say)
        ready = _prepared(plan, division, data, recipe=recipe, made=(out, say))
        test = read(division, division.test, "test") if division.test else None
        with remembered(model, settings):
            result = fit(model, ready.data, ready.settings, out=out, progress=say, recipe=recipe)
            record = _record(plan, division, data, test) | _results(model, data, test, result, plan)
        if encoder is not None:
            record["encoder"] = encoder
        if plan.defence and recipe:
            # Logits of class maps are large: a batch of the training fits, more may not.
            size = settings.batch_size if model.task in DENSE else 64
            record |= defence_record(plan.defence, recipe, result, model=model, test=test, batch_size=size)
            record["augmented"] = ready.told
            for finding in record["findings"]:
                say.line(f"{finding['severity']}: {finding['message']}")
    record["findings"] = [*_selection(plan, division), *record.get("findings", ())]
    record |= {"folds": spread_of(folds), "seconds": time.monotonic() - began, "command": command}
    if result.main:
        _write(out, model, division, record)
    return Trained(out, record, division.spec, result.main)


def cross_validate(plan: TrainPlan, whole: Division, out: Path, *, progress: Progress) -> list[dict[str, Any]]:
    """Train anew for each fold and score the images left out; writes folds.csv with mean and standard deviation.

    Each row has repeat, fold, n_train, n_validate, best_epoch and the scores. Finished folds are not trained again.
    """
    rows = []
    parts = fold_divisions(whole, plan.folds or 0, plan.repeats, seed=plan.settings.seed)
    for number, (fold, division) in enumerate(parts, 1):
        progress.line(f"fold {number} of {len(parts)}")
        data = TrainData(read(division, division.train, "training"), read(division, division.val, "validation"))
        model = _model(plan, division, data.train)
        recipe = _recipe(plan, division, data)
        folder = out / "folds" / f"repeat{fold.repeat}-fold{fold.fold}"
        learned(model, data.train, plan.settings, out=folder, progress=progress)
        ready = _prepared(plan, division, data, recipe=recipe, made=(folder, progress))
        # The ways of the folds would fill the disk, and nobody asks for them.
        settings = ready.settings.model_copy(update={"keep_weights": False})
        left = read(division, division.test, "left-out")
        with remembered(model, settings):
            result = fit(model, ready.data, settings, out=folder, progress=progress, recipe=recipe)
            found = scored(model, left, batch_size=settings.batch_size)
        found = {name: found[name] for name in SCORES[model.task]}
        row = {"repeat": fold.repeat, "fold": fold.fold, "n_train": len(data.train.ids), "n_validate": len(left.ids)}
        rows.append(row | {"best_epoch": result.best_epoch} | found)
    spread = spread_of(rows)
    tail = [{"repeat": kind} | {name: spread[name][kind] for name in spread} for kind in ("mean", "sd")]
    write_bytes(out / "folds.csv", csv_of([*rows, *tail], list(rows[0])))
    return rows


def _recipe(plan: TrainPlan, division: Division, data: TrainData) -> Hardening | None:
    if plan.defence is None:
        return None
    return defence(plan.defence, data, plan.settings.seed, task=division.images.task)


def _prepared(
    plan: TrainPlan, division: Division, data: TrainData, *, recipe: Hardening | None, made: tuple[Path, Progress]
) -> Prepared:
    """The data and settings of the training; sets made for it lie where the plan says, or in the model folder."""
    home = made[0] / FOLDER
    start = plan
    if plan.defence:
        home = Path(plan.defence.augmented or home)
        start = plan.model_copy(update={"defence": plan.defence.model_copy(update={"fresh": False})})
    return prepared(
        recipe, data, plan.settings, given=partial(_model, start, division, data.train), made=(home, made[1])
    )


def _check(plan: TrainPlan, out: Path) -> None:
    if plan.defence:
        check_start(plan.defence, plan.model, out, weights=plan.weights)
    if plan.folds and plan.settings.devices > 1:
        raise UsageError(
            "cross-validation runs on one device", value=plan.settings.devices, next_step="leave --devices"
        )
    if plan.repeats > 1 and not plan.folds:
        raise UsageError("repeats need folds", value=plan.repeats, next_step="give --folds 5 too")
    if out.exists() and not out.is_dir():
        raise RunError("the output is a file", value=out, next_step="give a folder with --out")
    known = {LAST, FOLDER, ENCODER, "folds", "folds.csv", "splits.csv"}
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in known):
        raise RunError("the folder holds something else", value=out, next_step="give a new or empty folder with --out")


def _choosing(plan: TrainPlan, division: Division) -> Tensors:
    """The images whose loss chooses the epoch."""
    if plan.select == "val":
        return read(division, division.val, "validation")
    if not division.test:
        raise UsageError("there is no test split to choose the epoch on", value=plan.data, next_step="select val")
    return read(division, division.test, "test")


def _selection(plan: TrainPlan, division: Division) -> list[dict[str, Any]]:
    if plan.select == "val":
        return []
    text = (
        f"The epoch was chosen on the {len(division.test)} test images, as published: scores on them are too good. The "
        "corrected protocol chooses it on a validation split."
    )
    evidence = {"images": len(division.test)}
    return [{"id": "test-chose-the-epoch", "severity": "warning", "message": text, "evidence": evidence}]


def _model(plan: TrainPlan, division: Division, images: Tensors) -> Model:
    options: dict[str, Any] = {"classes": division.images.classes}
    if not Path(plan.model).is_dir():
        options |= {"task": division.images.task, "channels": images.images.shape[1]}
    if takes_size(plan.model):
        options["size"] = tuple(images.images.shape[2:])
    with torch.random.fork_rng(devices=[]):
        # The same seed begins with the same random weights.
        torch.manual_seed(plan.settings.seed)
        if plan.defence and plan.defence.fresh and Path(plan.model).is_dir():
            model = anew(Path(plan.model), allow_code=plan.allow_code)
        else:
            model = load_model(
                plan.model, weights=plan.weights, allow_code=plan.allow_code, grey_inside=plan.grey_inside, **options
            )
    match(division.images, model)
    return model


def _opening(plan: TrainPlan, division: Division, data: TrainData) -> str:
    bad = len(data.train.bad) + len(data.val.bad)
    verb = "hardening" if plan.defence else "training"
    return (
        f"{verb} {plan.model} on {len(data.train.ids)} images ({len(data.val.ids)} for validation, "
        f"{len(division.test)} for the test) for at most {plan.settings.epochs} epochs"
        + (f"; {bad} images cannot be used" if bad else "")
    )


def _record(plan: TrainPlan, division: Division, data: TrainData, test: Tensors | None) -> dict[str, Any]:
    parts = {"train": data.train, "val": data.val} | ({} if test is None else {"test": test})
    return {
        "percuss_version": environment.version(),
        "plan": plan.model_dump(mode="json"),
        "data": division.spec,
        "splits": division.drawn or "as declared by the set",
        "splits_sha256": hashlib.sha256(division.csv().encode()).hexdigest(),
        "n": {name: len(part.ids) for name, part in parts.items()},
        "bad": [{"id": item.id, "reason": item.reason} for part in parts.values() for item in part.bad],
        **({"tiles": _tiles(division, data)} if division.images.task == "heatmap" else {}),
    }


def _tiles(division: Division, data: TrainData) -> dict[str, Any]:
    """Side in pixels and resolution of the tiles trained on, which ``percuss heatmap`` looks at slides with."""
    case = division.images.read(data.train.ids[0])
    high, wide = case.pixels.shape[1:]
    spacing = case.spacing_mm
    return {"size": high if high == wide else None, "mpp": None if spacing is None else round(spacing[0] * 1000, 6)}


def _results(
    model: Model, data: TrainData, test: Tensors | None, result: TrainResult, plan: TrainPlan
) -> dict[str, Any]:
    size = plan.settings.batch_size
    with torch.no_grad():
        outputs = model(data.val.images[:1].to(next(model.parameters()).device)).shape[1]
    return {
        "history": [row.told() for row in result.history],
        "best_epoch": result.best_epoch,
        "stopped_early": result.stopped_early,
        "outputs": outputs,
        "val": scored(model, data.val, batch_size=size),
        "test": None if test is None else scored(model, test, batch_size=size),
        "environment": environment.describe(torch.device(result.device)),
    }


def _write(out: Path, model: Model, division: Division, record: dict[str, Any]) -> None:
    model.info = replace(model.info, weights="trained")
    write_bytes(out / "splits.csv", division.csv().encode())
    write_bytes(out / "history.csv", csv_of(record["history"], list(record["history"][0])))
    save_model(model, out, weights="trained")
    # Last, so that a folder with training.json is complete.
    write_bytes(out / "training.json", (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
