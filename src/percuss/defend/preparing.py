"""What stands before the first step: checks, threads, devices, and the hash of the images."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from lightning_fabric import Fabric

from percuss.core.errors import DataError, UsageError
from percuss.core.images import Tensors
from percuss.defend.records import TrainData
from percuss.defend.settings import TrainSettings

_PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def check_data(data: TrainData) -> None:
    """DataError where a part is empty, or the two differ in shape."""
    for name, part in (("training", data.train), ("validation", data.val)):
        if not part.ids:
            raise DataError(f"there are no {name} images", next_step="look at the data spec and its splits")
    ours, theirs = tuple(data.train.images.shape[1:]), tuple(data.val.images.shape[1:])
    if ours != theirs:
        raise DataError(
            "training and validation images differ in shape",
            value=f"{ours} and {theirs}",
            next_step="give one size and one channel count, for instance ?size=224&channels=rgb",
        )


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """So many threads of the processor within; None leaves them."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


def fingerprint(*parts: Tensors) -> str:
    """SHA-256 (hex) of ids, targets and pixels of some images, part after part."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update("\0".join(part.ids).encode())
        for values in (part.targets, part.images):
            digest.update(f"{tuple(values.shape)}{values.dtype}".encode())
            digest.update(values.contiguous().numpy().data)
    return digest.hexdigest()


def make_fabric(settings: TrainSettings) -> Fabric:
    """Fabric on the devices of the settings, launched; UsageError where they are not there."""
    there = torch.cuda.device_count()
    device = ("cuda" if there else "cpu") if settings.device == "auto" else settings.device
    if device == "cuda" and there < settings.devices:
        raise UsageError(
            "so many GPUs are not there", value=settings.devices, allowed=f"{there}", next_step="give --device cpu"
        )
    if device == "cpu" and settings.precision == "16":
        raise UsageError("16-bit precision needs a GPU", value="16", allowed="32, bf16 on the processor")
    fabric = Fabric(
        accelerator=device,
        devices=settings.devices,
        strategy="ddp" if settings.devices > 1 else "auto",
        precision=_PRECISIONS[settings.precision],
    )
    fabric.launch()
    return fabric
