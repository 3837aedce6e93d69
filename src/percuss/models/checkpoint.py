"""A model as a folder: model.json (what it is) and model.safetensors (its weights), checked by hash."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import save_file

from percuss.core.errors import ModelError
from percuss.core.images import Task
from percuss.core.model import Model, ModelInfo


class Checkpoint(BaseModel):
    """model.json."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    percuss_version: str
    spec: str
    task: Task
    classes: tuple[str, ...]
    outputs: int
    channels: int
    size: tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: str
    sha256: str
    cell: int = 1


def save_model(model: Model, folder: Path, *, weights: str | None = None) -> Path:
    """Write the model into a folder (made where missing), each file whole or not at all; returns the folder.

    ``weights`` says where they come from; None keeps what the model says. ModelError where the model gives no logits
    on an image of its size (64 or 224 pixels where it takes any).
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "model.safetensors.partial"
    state = {name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()}
    # Shared tensors are written once each under every name: clones, as the format holds no links.
    save_file({name: value.clone() for name, value in state.items()}, partial)
    record = Checkpoint(
        percuss_version=version("percuss"),
        sha256=hashlib.sha256(partial.read_bytes()).hexdigest(),
        outputs=_outputs(model),
        **{**asdict(model.info), "weights": weights or model.info.weights},
    )
    partial.replace(folder / "model.safetensors")
    draft = folder / "model.json.partial"
    draft.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / "model.json")
    return folder


def _outputs(model: Model) -> int:
    """How many logits: only two classes leave a choice, and then one image tells."""
    if len(model.outputs) == 1:
        return model.outputs[0]
    training = [(part, part.training) for part in model.modules()]
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    try:
        model.eval()
        for size in [model.info.size] if model.info.size else [(64, 64), (224, 224)]:
            with torch.no_grad(), contextlib.suppress(RuntimeError):
                return int(model(torch.zeros(1, model.info.channels, *size, device=device)).shape[1])
    finally:
        for part, mode in training:
            part.training = mode
    raise ModelError(
        "the model takes no image of 64 or 224 pixels, so its number of logits is not known",
        value=model.info.spec,
        next_step="give its size: load_model(..., size=(height, width))",
    )


def read_record(folder: Path) -> tuple[Checkpoint, ModelInfo]:
    """model.json of a folder, and the info it stands for; ModelError where missing, damaged or not its weights."""
    try:
        record = Checkpoint.model_validate(json.loads((folder / "model.json").read_text(encoding="utf-8")))
        digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    except (OSError, ValueError, ValidationError) as error:
        raise ModelError(
            "the folder holds no model",
            value=folder,
            allowed="model.json and model.safetensors",
            next_step="give a folder that percuss train wrote",
        ) from error
    if digest != record.sha256:
        raise ModelError(
            "the weights are not those that model.json names",
            value=folder,
            next_step="train again, or take both files from the same place",
        )
    info = ModelInfo(
        record.spec,
        record.task,
        record.classes,
        record.channels,
        record.size,
        record.mean,
        record.std,
        record.weights,
        record.cell,
    )
    return record, info
