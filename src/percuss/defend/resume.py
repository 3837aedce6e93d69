"""last.pt: everything a stopped training needs to go on, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch

from percuss.core.errors import RunError

LAST = "last.pt"


def write_last(out: Path, state: dict[str, Any]) -> None:
    """Replace ``out/last.pt`` by way of a scratch file; RunError where the disk is full or cannot be written."""
    scratch: Path | None = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".percuss-", dir=out)
        scratch = Path(name)
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(out / LAST)
    # torch reports a full disk as a RuntimeError of its zip writer.
    except (OSError, RuntimeError) as error:
        if scratch is not None:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
        raise RunError(
            f"{out / LAST} cannot be written",
            value=error,
            next_step="free some space or give another --out; the same command goes on after the last epoch",
        ) from error


def read_last(out: Path, identity: dict[str, str]) -> dict[str, Any] | None:
    """The state in ``out``, None where there is none.

    RunError where it is damaged, or of a training that differs in one of ``identity``.
    """
    path = out / LAST
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        theirs = dict(state["identity"])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise RunError(
            "the checkpoint cannot be read", value=path, next_step="delete it to begin the training anew"
        ) from error
    other = [name for name in identity if theirs.get(name) != identity[name]]
    if other:
        raise RunError(
            f"the folder holds another training; it differs in its {', '.join(other)}",
            value=out,
            next_step="give another --out, or the options it was begun with",
        )
    return state
