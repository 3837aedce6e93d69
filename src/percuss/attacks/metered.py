"""The model as somebody else's code gets it: in eval mode whatever it asks, with a count of what each pass costs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from percuss.attacks.target import Target, no_gradient
from percuss.core.model import wide_logits


class MeteredModel(nn.Module):
    """Images ``[B, C, H, W]`` in [0, 1] to logits, one column per class, for the images at ``rows`` of the target.

    Forward and backward passes are counted by hooks, whatever batches they come in. A pass over as many images as
    there are rows costs each row one; of passes over other numbers the rows share the sum.

    Args:
        target: its model is run and its meter is fed.
        rows: positions in the batch of the target, ``[n]``.
    """

    def __init__(self, target: Target, rows: Tensor) -> None:
        super().__init__()
        self.inner = target.model
        self._target, self._rows = target, rows.cpu()
        self._odd = [0, 0]
        self.training = False

    def train(self, mode: bool = True) -> MeteredModel:
        """Stays in eval mode: batch norm in training mode would change the model under attack."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]``; NoGradientError where the images want a gradient and none can come."""
        wanted = torch.is_grad_enabled() and images.requires_grad
        self._count(0, len(images))
        if not wanted:
            return wide_logits(self.inner(images))
        seen = images.view_as(images)  # the caller's own tensor may be a leaf, whose hooks would stay on it
        seen.register_hook(self._heard)  # type: ignore[no-untyped-call]
        logits = wide_logits(self.inner(seen))
        if not logits.requires_grad:
            raise no_gradient()
        logits.register_hook(lambda slope: self._count(1, len(slope)))  # type: ignore[no-untyped-call]
        return logits

    def settle(self) -> None:
        """Share among the rows what odd-sized passes cost; the sum is exact."""
        for meter, total in zip(self._meters(), self._odd, strict=True):
            share, more = divmod(total, len(self._rows))
            meter[self._rows] += share
            meter[self._rows[:more]] += 1
        self._odd = [0, 0]

    def _meters(self) -> tuple[Tensor, Tensor]:
        return self._target.model_evaluations, self._target.gradient_evaluations

    def _count(self, which: int, images: int) -> None:
        if images == len(self._rows):
            self._meters()[which][self._rows] += 1
        else:
            self._odd[which] += images

    def _heard(self, slope: Tensor) -> None:
        """Note where a gradient was not zero; in a pass of another size it is not known whose it was."""
        seen = self._target.saw_gradient
        if bool(seen[self._rows].all()):
            return
        found = (slope != 0).flatten(1).any(1).cpu()
        seen[self._rows] |= found if len(found) == len(self._rows) else found.any()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within, torch, numpy and Python draw from this seed (0 to 2**32 - 1); afterwards they go on as if untouched."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def weights_mark(model: nn.Module) -> list[tuple[int, int]]:
    """Changes when a parameter or buffer is written to or replaced, without reading its values."""
    values: list[Any] = [*model.parameters(), *model.buffers()]
    return [(value.data_ptr(), value._version) for value in values]
