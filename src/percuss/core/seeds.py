"""Randomness that belongs to an image, not to its batch: one generator per (run seed, image, purpose)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def seed_of(*keys: object) -> int:
    """A 63-bit seed from any printable keys; equal keys give equal seeds on every platform."""
    digest = hashlib.sha256("\x1f".join(str(key) for key in keys).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class ImageRandom:
    """Draws for a batch of images, each image from its own generator.

    What an image draws depends on the run seed, its id and the purpose, never on batch size, batch
    mates, worker count or device: draws are made on the CPU in float32 and moved.
    """

    def __init__(self, seed: int, ids: Sequence[str], purpose: str) -> None:
        # Seeds alone, as a study needs them, do without torch: its server starts in a third of the time.
        import torch

        self.ids = tuple(ids)
        self._generators = [torch.Generator().manual_seed(seed_of(seed, name, purpose)) for name in ids]

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform draws, ``[len(ids), *shape]``, float32 on the CPU."""
        import torch

        return torch.stack([torch.rand(tuple(shape), generator=g) for g in self._generators]) * (high - low) + low

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal draws, ``[len(ids), *shape]``, float32 on the CPU."""
        import torch

        return torch.stack([torch.randn(tuple(shape), generator=g) for g in self._generators])

    def subset(self, index: Sequence[int]) -> ImageRandom:
        """The same generators (with their state) for some of the images."""
        part = object.__new__(ImageRandom)
        part.ids = tuple(self.ids[i] for i in index)
        part._generators = [self._generators[i] for i in index]
        return part
