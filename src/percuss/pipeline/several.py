"""Several models opened for the same images: their names, classes and fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from percuss.attacks.check import check_model
from percuss.core.errors import ModelError, PercussError, UsageError
from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.pipeline.inputs import Chosen, open_model, read_chunk
from percuss.pipeline.plan import AuditPlan, make_plan

Given = str | Path | Model | nn.Module


def plans(models: Sequence[Given], data: str, weights: Sequence[str], *, options: dict[str, Any]) -> list[AuditPlan]:
    """One plan for each model, alike but for the model; UsageError for fewer than two, or weights for some only."""
    if len(models) < 2:
        raise UsageError(
            "a transfer matrix needs two models or more", value=len(models), next_step="name several models"
        )
    if len(weights) not in (0, 1, len(models)):
        raise UsageError(
            "the weights do not fit the models",
            value=f"{len(weights)} weights, {len(models)} models",
            allowed="none, one for all, or one for each model in order",
        )
    files: list[str | None] = [*weights] * (len(models) if len(weights) == 1 else 1) or [None] * len(models)
    return [
        make_plan(data=data, model=_spec(model), weights=file, **options)
        for model, file in zip(models, files, strict=True)
    ]


def _spec(model: Given) -> str:
    if isinstance(model, Model):
        return model.info.spec
    return "module" if isinstance(model, nn.Module) else str(model)


def open_several(made: Sequence[AuditPlan], given: Sequence[Given], chosen: Chosen) -> dict[str, Model]:
    """The models by name, each checked against the images; names are the end of a folder, or the spec.

    ModelError where classes differ or two models are the same; errors of one model name it.
    """
    found: dict[str, Model] = {}
    for plan, one in zip(made, given, strict=True):
        name = Path(plan.model).name if Path(plan.model).is_dir() else plan.model
        name = _free(name, found)
        try:
            found[name] = open_model(plan, None if isinstance(one, str | Path) else one, chosen)
        except PercussError as error:
            raise _named(name, error) from error
    _same_classes(found)
    prints: dict[str, str] = {}
    for name, model in found.items():
        twin = prints.setdefault(model.fingerprint(), name)
        if twin != name:
            raise ModelError("two of the models are the same", value=f"{twin} and {name}", next_step="leave one out")
    return found


def check_several(models: dict[str, Model], chosen: Chosen, device: torch.device) -> list[Finding]:
    """The check of every model on a few images; findings and errors name the model."""
    count = len(chosen.ids)
    batch = read_chunk(chosen, tuple(dict.fromkeys(chosen.ids[i * (count - 1) // 15] for i in range(16))))
    found = []
    for name, model in models.items():
        try:
            seen = check_model(model.to(device), batch.images, batch.targets)
        except PercussError as error:
            raise _named(name, error) from error
        found += [Finding(f.id, f.severity, f"{name}: {f.message}", {"model": name, **f.evidence}) for f in seen]
        if model.info.weights == "random":
            text = f"{name} has random weights: it was never trained, so nothing about it means anything."
            found.append(Finding("random-weights", "severe", text, {"model": name}))
    return found


def _free(name: str, taken: dict[str, Model]) -> str:
    number, tried = 1, "noise model" if name == "noise" else name
    while tried in taken:
        number += 1
        tried = f"{name} #{number}"
    return tried


def _same_classes(models: dict[str, Model]) -> None:
    first, *others = models.items()
    for name, model in others:
        if model.task != first[1].task or _named_classes(model) not in (
            (),
            _named_classes(first[1]) or _named_classes(model),
        ):
            raise ModelError(
                "the models have different classes",
                value=f"{first[0]}: {', '.join(first[1].classes)}; {name}: {', '.join(model.classes)}",
                allowed="one list of classes in one order",
                next_step="train the models on the same classes",
            )


def _named_classes(model: Model) -> tuple[str, ...]:
    """The class names; none where they are mere numbers."""
    classes = tuple(model.classes)
    return () if classes == tuple(str(i) for i in range(len(classes))) else classes


def _named(name: str, error: PercussError) -> PercussError:
    return type(error)(f"{name}: {error.thing}", value=error.value, allowed=error.allowed, next_step=error.next_step)
