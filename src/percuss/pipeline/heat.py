"""What a run of heat maps keeps of scores: those of every cell beside the counts, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import Tensor

from percuss.attacks.job import Swept
from percuss.core.errors import RunError
from percuss.core.images import PixelRange, Tensors
from percuss.core.outcome import Outcome
from percuss.evaluate.change_meaning import Changes, meanings
from percuss.evaluate.curves import CONTROLS
from percuss.store.folder import RunFolder
from percuss.store.png import encode, slug

#: Pictures of the unattacked images' heat maps.
CLEAN = "heat/clean"
_LEVELS = PixelRange(0, 255)
#: What changes go with in the image, one row per image, attack, budget and measure (``evaluate.change_meaning``).
MEANING = "meaning.parquet"
_BESIDE = "-meaning"


def score(logits: Tensor) -> Tensor:
    """The score of each cell, ``[N, h, w]``: how far the logit of the second class lies above that of the first."""
    return logits[:, 1] - logits[:, 0]


def columns(logits: Tensor, truth: Tensor | None) -> list[dict[str, Any]]:
    """Columns ``shape``, ``scores`` (float16 bytes, row by row) and ``truth`` (uint8 bytes; empty without it).

    Args:
        logits: ``[N, 2, h, w]`` on the CPU.
        truth: uint8 ``[N, h, w]``, where it is to be kept.
    """
    found = score(logits)
    # Beyond what float16 holds a cell is as sure as can be; infinity would not be a score.
    kept = found.clamp(-6e4, 6e4).half().numpy().astype("<f2")
    return [
        {
            "shape": list(kept.shape[1:]),
            "scores": kept[i].tobytes(),
            "truth": b"" if truth is None else truth[i].numpy().astype("uint8").tobytes(),
        }
        for i in range(len(kept))
    ]


def as_png(logits: Tensor) -> bytes:
    """The probability of the second class at each cell of ``[2, h, w]`` as an 8-bit grey PNG, 255 for 1."""
    return encode(score(logits.unsqueeze(0)).double().sigmoid(), _LEVELS)


def write_clean(folder: RunFolder, ids: Sequence[str], logits: Tensor) -> None:
    """Write the pictures of unattacked images."""
    for name, one in zip(ids, logits, strict=True):
        folder.write(f"{CLEAN}/{slug(name)}.png", as_png(one))


def beside(name: str) -> str:
    """Where the heat map of a kept map lies among the parts."""
    return name.replace("/maps/", "/heat/")


def meaning_part(folder: RunFolder, key: str, batch: Tensors, *, swept: Swept, rows: Sequence[Outcome]) -> None:
    """Write what the changes of a unit go with as a part; controls are what they are set beside, and are left out."""
    tables = []
    for first in {row.budget: row for row in rows if row.attack not in CONTROLS}.values():
        given = Changes(
            ids=batch.ids,
            groups=[group or "" for group in batch.groups],
            clean=batch.images.numpy(),
            changed=swept.images[first.budget].numpy(),
            truth=batch.targets.numpy(),
            attack=first.attack,
            norm=first.norm,
            budget=first.budget,
            nuclei=None if batch.instances is None else (batch.instances > 0).numpy(),
        )
        tables.append(meanings(given))
    if tables:
        folder.write_table(f"parts/{key}{_BESIDE}.parquet", pd.concat(tables, ignore_index=True))


def has_meaning(folder: RunFolder, key: str, part: pd.DataFrame) -> bool:
    """Whether that part is there, where the rows of a unit ask for one."""
    return bool(part["attack"].isin(CONTROLS).all()) or folder.read_part(f"{key}{_BESIDE}") is not None


def whole_meaning(folder: RunFolder, parts: Sequence[pd.DataFrame]) -> pd.DataFrame | None:
    """``meaning.parquet`` from its parts; None where only controls were run. RunError where a part is gone."""
    keys = [part.attrs["key"] for part in parts if not part["attack"].isin(CONTROLS).all()]
    found = [folder.read_part(f"{key}{_BESIDE}") for key in keys]
    if any(part is None for part in found):
        raise RunError("a part of the run is gone or damaged", next_step="give the same percuss audit command again")
    kept = [part for part in found if part is not None]
    return pd.concat(kept, ignore_index=True) if kept else None
