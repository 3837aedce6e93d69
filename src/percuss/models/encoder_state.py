"""How far the learning of an encoder is: one safetensors file, written whole or not at all, of one known learning."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from percuss.core.errors import RunError

#: Seconds of work that a kill may cost.
EVERY = 30.0


def digest(image: Tensor) -> str:
    """SHA-256 (hex) of one image's shape, type and values, wherever and however it lies in memory."""
    here = image.detach().cpu().contiguous()
    found = hashlib.sha256(f"{tuple(here.shape)}{here.dtype}".encode())
    found.update(here.view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def by_content(images: Tensor) -> tuple[list[str], list[int]]:
    """The hashes of images ``[N, C, H, W]`` in rising order, and their places: an order that no listing changes."""
    found = sorted((digest(image), place) for place, image in enumerate(images))
    return [name for name, _ in found], [place for _, place in found]


def identity(settings: object, names: list[str]) -> str:
    """SHA-256 (hex) of a learning's settings (as they print) and the hashes of its images."""
    return hashlib.sha256("\0".join([repr(settings), *names]).encode()).hexdigest()


def write_state(path: Path, tensors: Mapping[str, Tensor], words: Mapping[str, Any]) -> None:
    """Replace ``path``; ``words`` are kept as JSON. RunError where it cannot be written."""
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        save_file(kept, beside, metadata={"percuss": json.dumps(dict(words))})
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise RunError(
            "the state of an encoder's learning cannot be written",
            value=f"{path}: {error}",
            next_step="free some space or give another --out; the same command goes on from the last state",
        ) from error


def read_state(path: Path, known: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and words of a state; None where there is none.

    RunError where it is damaged, or of a learning with another ``identity`` than ``known``.
    """
    if not path.exists():
        return None
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as opened:
            words: dict[str, Any] = json.loads((opened.metadata() or {})["percuss"])
        theirs = words["identity"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            "the state of an encoder's learning cannot be read",
            value=path,
            next_step="delete it to learn the encoder anew",
        ) from error
    if theirs != known:
        raise RunError(
            "the folder holds the encoder of another learning: its settings, seed or images differ",
            value=path,
            next_step="give another --out, or the options it was begun with",
        )
    return tensors, words
