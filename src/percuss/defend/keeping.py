"""The weights after each epoch, kept as files, so that the way of a training can be drawn."""

from __future__ import annotations

import contextlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from percuss.core.errors import RunError
from percuss.core.model import Model

#: Folder in the model folder; epoch 0 are the weights before the first step.
FOLDER = "trajectory"


def keep_weights(model: Model, out: Path, epoch: int) -> Path:
    """Write the network's state to ``out/trajectory/epoch-0007.safetensors``, whole or not at all; gives the file.

    RunError where the disk is full or cannot be written.
    """
    path = out / FOLDER / f"epoch-{epoch:04d}.safetensors"
    scratch = path.with_suffix(".partial")
    state = {name: value.detach().cpu().contiguous().clone() for name, value in model.network.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, scratch)
        scratch.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise RunError(
            "the weights of an epoch cannot be kept",
            value=f"{path}: {error}",
            next_step="free some space; the same command goes on after the last epoch",
        ) from error
    return path
