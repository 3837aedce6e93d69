"""A model as Percuss sees it: images in [0, 1] to logits, normalisation inside."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import torch
from torch import Tensor, nn

from percuss.core import dense
from percuss.core.errors import ModelError, NetworkError, PercussError
from percuss.core.images import DENSE, Task


@dataclass(frozen=True)
class ModelInfo:
    """What a model says of itself.

    Attributes:
        spec: where it came from (``timm:resnet18``, a folder, ``module``).
        task: ``classify``, ``multilabel``, ``segment`` or ``heatmap``.
        classes: class names in output order. A single-logit binary model has two classes and one output.
        channels: input channels of the images it takes (1 grey, 3 colour).
        size: (height, width) it was made for; None where any size works.
        mean, std: normalisation applied inside, per network channel, in [0, 1] units.
        weights: where the weights came from (``random``, ``pretrained``, a file).
        cell: of a heat map, the side in pixels of what one value stands for; else 1.
    """

    spec: str
    task: Task
    classes: tuple[str, ...]
    channels: int
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    weights: str = "given"
    cell: int = field(default=1, repr=False)  # the network's own text tells it: older fingerprints stay as they are


class Model(nn.Module):
    """A network with its normalisation: float32 images ``[N, C, H, W]`` in [0, 1] to logits ``[N, outputs]``.

    A segmenter gives logits ``[N, outputs, H, W]``, at the height and width of its images. A heat map's network gives
    one logit per cell, ``[N, 1, H / cell, W / cell]``; what comes out are two, 0 and the logit.

    Grey images (``info.channels == 1``) are copied to the network's channels inside, where the network
    takes more, so that a change of a grey image stays a grey image.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, info: ModelInfo) -> None:
        super().__init__()
        if info.task not in get_args(Task):
            raise ModelError("unknown task", value=info.task, allowed=", ".join(get_args(Task)))
        if len(info.classes) < 1 or (info.task != "multilabel" and len(info.classes) < 2):
            raise ModelError("a classifier needs at least two classes", value=info.classes)
        if info.task == "heatmap" and len(info.classes) != 2:
            raise ModelError("a heat map tells two classes apart", value=info.classes, allowed="normal, tumour")
        self.network, self.info = network, info
        self.register_buffer("mean", torch.tensor(info.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(info.std).view(1, -1, 1, 1), persistent=False)
        self.eval()

    @property
    def task(self) -> Task:
        """``classify``, ``multilabel``, ``segment`` or ``heatmap``."""
        return self.info.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in output order."""
        return self.info.classes

    @property
    def outputs(self) -> tuple[int, ...]:
        """Allowed numbers of outputs: one logit will do for two classes."""
        count = len(self.classes)
        if self.task == "heatmap":
            return (1,)
        return (2, 1) if self.task == "classify" and count == 2 else (count,)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float32 ``[N, outputs]`` (segment: and height and width). ModelError on a wrong shape."""
        if images.dim() != 4 or images.shape[1] != self.info.channels:
            raise ModelError(
                "the images do not fit the model",
                value=f"shape {tuple(images.shape)}",
                allowed=f"[N, {self.info.channels}, height, width]",
                next_step="for grey images and a colour model give ?channels=rgb behind the data spec, "
                "or --grey-inside to let the model copy the grey channel",
            )
        if self.info.size is not None and tuple(images.shape[2:]) != self.info.size:
            raise ModelError(
                "the images are not of the model's size",
                value=f"{tuple(images.shape[2:])}",
                allowed=f"{self.info.size}",
                next_step=f"give ?size={self.info.size[0]} behind the data spec",
            )
        logits = self._asked((images - self.mean) / self.std)
        beyond = tuple(side // self.info.cell for side in images.shape[2:]) if self.task in DENSE else ()
        if not isinstance(logits, Tensor) or tuple(logits.shape) not in {
            (len(images), count, *beyond) for count in self.outputs
        }:
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            where = "".join(f", {side}" for side in beyond)
            wanted = f"logits [{len(images)}, {' or '.join(map(str, self.outputs))}{where}]"
            raise ModelError(
                "the model's output has the wrong shape",
                value=shape,
                allowed=f"{wanted} for classes {self.classes}",
                next_step="return logits only, one per class" + (" and pixel" if beyond else ""),
            )
        return wide_logits(logits.float()) if self.task == "heatmap" else logits.float()

    def _asked(self, images: Tensor) -> object:
        """What the network gives; its own errors become a NetworkError, but for those of memory."""
        try:
            found: object = self.network(images)
        except Exception as error:  # a network of the user's may raise anything
            if isinstance(error, PercussError | MemoryError) or out_of_memory(error):
                raise
            first = next(iter(str(error).splitlines()), "") or "no words"
            raise NetworkError(
                f"the network fails on images of shape {tuple(images.shape)}",
                value=f"{type(error).__name__}: {first}",
                allowed="images as the network was built for",
                next_step="look at ?channels= and ?size= behind the data spec; --verbose shows where it fails",
            ) from error
        return found

    def fingerprint(self) -> str:
        """SHA-256 (hex) of architecture text, every weight and the record: equal models, equal text."""
        digest = hashlib.sha256(repr(self.info).encode())
        digest.update(str(self.network).encode())
        for name, value in sorted(self.state_dict(keep_vars=False).items()):
            digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
            digest.update(
                value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
            )
        return digest.hexdigest()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, so that a smaller batch may do."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def wide_logits(logits: Tensor) -> Tensor:
    """Logits with one column per class: a single binary logit z becomes (0, z); others pass unchanged."""
    return torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits


def decide(logits: Tensor, task: Task) -> Tensor:
    """The decision: class index ``[N]``, 0/1 ``[N, K]`` (multilabel, threshold 0), or class map ``[N, H, W]``."""
    if task == "multilabel":
        return (logits > 0).long()
    return wide_logits(logits).max(1).indices  # as argmax, which takes several times as long over maps


def is_right(logits: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Whether each decision equals the target; multilabel: every label right; maps: quality at ``dense.BAR``."""
    decision = decide(logits, task)
    if task in DENSE:
        return dense.quality(decision, targets, logits.shape[1]) >= dense.BAR
    return decision == targets if task == "classify" else (decision == targets.long()).all(1)


def confidence(logits: Tensor, task: Task) -> Tensor:
    """Probability of the decision made: softmax maximum; of the least sure label; maps: mean over their places."""
    if task in DENSE:
        return dense.confidence(logits)
    if task == "classify":
        return wide_logits(logits).double().softmax(1).max(1).values.float()
    probability = logits.double().sigmoid()
    return torch.maximum(probability, 1 - probability).min(1).values.float()


def class_names(count: int, given: Sequence[str] | int | None) -> tuple[str, ...]:
    """Class names from a list, a number, or none (``count`` numbered classes)."""
    if given is None or isinstance(given, int):
        return tuple(str(i) for i in range(count if given is None else given))
    return tuple(given)
