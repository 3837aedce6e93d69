"""What the detectors of Strauss and Kenyon share: a code that was learned before and is frozen, and a head."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.model import ModelInfo
from percuss.core.teller import Teller
from percuss.models.code_memory import LIMIT, CodeMemory
from percuss.models.heat_head import HeatHead
from percuss.models.options import Options

#: Side of a cell in pixels, as in the paper.
CELL = 4


class HeatDetector(nn.Module, ABC):
    """Images in [0, 1] to one logit for each cell: ``judge(code(images))``; a ``percuss.core.latent.Coder``.

    The encoder is learned once, by ``prepare``, and never trained with the head: its weights take no gradient, and its
    dropout is off. ``learned`` is part of the weights, so that a checkpoint says whether it was.

    Args:
        name: in errors.
        inputs: channels of the code.
        stride: pixels between places of the code.
        cell: side of a cell in pixels.
    """

    learned: Tensor

    def __init__(self, name: str, inputs: int, *, stride: int, cell: int) -> None:
        super().__init__()
        self.name, self.stride, self.cell = name, stride, cell
        self.head = HeatHead(inputs, stride=stride, cell=cell)
        self.register_buffer("learned", torch.tensor(False))
        self._memory: CodeMemory | None = None
        self._facts: dict[str, Any] = {}

    @abstractmethod
    def prepare(self, images: Tensor, *, seed: int, folder: Path, progress: Teller) -> None:
        """Learn the encoder on images ``[N, C, H, W]`` in [0, 1] that show no tumour, and freeze it.

        What was begun in ``folder`` with the same images and settings goes on; what was finished is read.

        Raises:
            PercussError: images that do not fit, a folder of another learning, or a learning that fails.
        """

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """The code of images, of an encoder that has learned."""

    @abstractmethod
    def rebuild(self, code: Tensor, like: Tensor) -> Tensor:
        """The images that codes stand for, see ``percuss.core.latent.Coder``."""

    def code(self, images: Tensor) -> Tensor:
        """The code ``[N, M, h, w]`` of images ``[N, C, H, W]`` in [0, 1]; differentiable.

        Raises:
            ModelError: the encoder was never learned, or the sides do not fit.
        """
        if not bool(self.learned):
            raise ModelError(
                f"the encoder of {self.name} has learned nothing yet",
                allowed="a model folder that percuss train wrote, or weights of one",
                next_step=f"train it: percuss train --data tiled:DIR --model percuss:{self.name} --out MODEL",
            )
        self._check_sides(images)
        # Codes in between are not wanted in half precision.
        with torch.autocast(images.device.type, enabled=False):
            if self._memory is None or (torch.is_grad_enabled() and images.requires_grad):
                return self.encode(images.float())
            return self._memory.codes(images.float(), self.encode)

    def judge(self, code: Tensor) -> Tensor:
        """Logits of cells ``[N, 1, H / cell, W / cell]``."""
        logits: Tensor = self.head(code)
        return logits

    def judging(self, active: Tensor) -> Callable[[Tensor], Tensor] | None:
        """``judge`` of codes that are 0 but for some coefficients, see ``HeatHead.on_values``."""
        return self.head.on_values(active)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``[N, C, H, W]`` to logits ``[N, 1, H / cell, W / cell]``."""
        return self.judge(self.code(images))

    @contextmanager
    def remembering(self, limit: int = LIMIT) -> Iterator[CodeMemory]:
        """Within, codes of images that take no gradient are kept and found again by the images' content.

        Args:
            limit: bytes of codes, at most; what comes later is coded each time.
        """
        before, self._memory = self._memory, CodeMemory(limit)
        try:
            yield self._memory
        finally:
            self._memory = before

    def told(self) -> dict[str, Any]:
        """What one wants to know of the encoder: what it is and, where it learned here, how that went."""
        return self.known() | self._facts

    @abstractmethod
    def known(self) -> dict[str, Any]:
        """What the encoder is, whatever it learned from."""

    def _check_sides(self, images: Tensor) -> None:
        height, width = images.shape[2:]
        multiple = math.lcm(self.stride, self.cell)
        if height % multiple or width % multiple:
            raise ModelError(
                f"the images do not fit {self.name}",
                value=f"{height} x {width} pixels",
                allowed=f"sides that are multiples of {multiple}: cells of {self.cell}, a code at stride {self.stride}",
                next_step="cut tiles of another size",
            )


def check_options(name: str, options: Options) -> int:
    """Channels inside a new detector; ModelError where the options ask for what it cannot be."""
    if options.task != "heatmap":
        raise ModelError(
            f"{name} gives a heat map: one logit for each cell",
            value=f"task {options.task}",
            allowed="task heatmap",
            next_step="take tiles (tiled:DIR), or another network",
        )
    if len(options.classes or ()) != 2:
        raise ModelError(f"{name} tells two classes apart", value=options.classes, allowed="normal and tumour")
    if options.weights == "pretrained":
        raise ModelError(f"{name} has no pretrained weights", next_step="train it, or give a file of weights")
    if any(options.mean or ()) or any(value != 1 for value in options.std or ()):
        raise ModelError(f"{name} takes images in [0, 1] as they are", next_step="leave out mean and std")
    return 3 if options.grey_inside else options.channels or 3


def describe(spec: str, options: Options, *, inside: int, cell: int) -> ModelInfo:
    """What a new detector says of itself."""
    channels = 1 if options.grey_inside else options.channels or 3
    return ModelInfo(
        spec,
        options.task,
        options.classes or (),
        channels,
        options.size,
        (0.0,) * inside,
        (1.0,) * inside,
        options.weights_name,
        cell=cell,
    )
