"""Networks whose encoder is learned before their head: on the training tiles without tumour, then frozen."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.core.images import DENSE, Tensors
from percuss.core.model import Model
from percuss.core.teller import Teller
from percuss.defend.settings import TrainSettings

#: Folder in the model folder.
FOLDER = "encoder"


@runtime_checkable
class Encoding(Protocol):
    """A network with an encoder of its own, as ``percuss.models.heat_detector.HeatDetector``."""

    learned: Tensor

    def prepare(self, images: Tensor, *, seed: int, folder: Path, progress: Teller) -> None:
        """Learn the encoder and freeze it."""

    def told(self) -> dict[str, Any]:
        """What training.json says of it."""
        ...

    def remembering(self) -> AbstractContextManager[Any]:
        """Within, codes are found again by their images' content."""
        ...


def learned(
    model: Model, images: Tensors, settings: TrainSettings, *, out: Path, progress: Teller
) -> dict[str, Any] | None:
    """Learn the encoder of a model that has one and has not learned it; what was begun in ``out`` goes on.

    Args:
        model: changed in place.
        images: training images with their maps. Those all of whose judged cells are normal teach.
        settings: of the training; its seed and device count here.
        out: folder of the model.
        progress: told how far it is.

    Returns:
        What training.json says under ``encoder``; None for networks without one.

    Raises:
        PercussError: no image without tumour, or a learning that fails (``Encoding.prepare``).
    """
    network = model.network
    if not isinstance(network, Encoding):
        return None
    if bool(network.learned):
        progress.line("the encoder is the one that the model came with; the head alone is trained")
        return network.told()
    rows = normal(images, model)
    if not len(rows):
        raise DataError(
            "no training tile is without tumour, so the encoder has nothing to learn from",
            value=f"{len(images.ids)} training tiles",
            allowed="at least one tile all of whose judged cells are normal",
            next_step="add tiles of normal tissue to the train split, or train on from a model that has its encoder",
        )
    progress.line(f"the encoder learns on {len(rows)} of {len(images.ids)} training tiles: those without tumour")
    if settings.device in ("auto", "cuda") and torch.cuda.is_available():
        model.cuda()
    network.prepare(images.images[rows], seed=settings.seed, folder=out / FOLDER, progress=progress)
    return network.told()


def normal(images: Tensors, model: Model) -> Tensor:
    """Places of the images all of whose judged cells are normal, one being judged at least; of all but for maps."""
    if model.task not in DENSE:
        return torch.arange(len(images.ids))
    judged = images.targets != IGNORE
    tumour = (images.targets > 0) & judged
    return (judged.flatten(1).any(1) & ~tumour.flatten(1).any(1)).nonzero()[:, 0]


def remembered(model: Model, settings: TrainSettings) -> AbstractContextManager[Any]:
    """Within, each image is coded once, where the network can do so and images are not changed from epoch to epoch."""
    if settings.augment != "none" or not isinstance(model.network, Encoding):
        return nullcontext()
    return cast("Encoding", model.network).remembering()
