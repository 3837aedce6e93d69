"""What a run of heat maps keeps of scores: those of every cell beside the counts, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from percuss.core.images import PixelRange
from percuss.store.folder import RunFolder
from percuss.store.png import encode, slug

#: Pictures of the unattacked images' heat maps.
CLEAN = "heat/clean"
_LEVELS = PixelRange(0, 255)


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
