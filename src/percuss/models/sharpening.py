"""sharpened:SPEC and stretched:SPEC, any model behind the X-rays' preparation: attacks act before it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from percuss.core.model import ModelInfo
from percuss.core.sharpening import sharpen, stretch


class Sharpened(nn.Module):
    """Sharpening (``percuss.core.sharpening``) in front of a network that takes normalised images.

    It undoes the normalisation, sharpens and normalises again, so that the record keeps the network's own mean and
    standard deviation. Grey images that the model copies to three channels are sharpened in each alike.

    Args:
        network: takes images normalised by mean and std.
        mean, std: one value per channel of the network, in [0, 1] units.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def prepared(self, images: Tensor) -> Tensor:
        """What the network is shown instead of images in [0, 1], before normalisation."""
        return sharpen(images)

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives on the prepared images; ``[N, C, H, W]``, normalised."""
        # Normalising and undoing it may leave [0, 1] by a rounding error.
        plain = (images * self.std + self.mean).clamp(0, 1)
        found: Tensor = self.network((self.prepared(plain) - self.mean) / self.std)
        return found


class Stretched(Sharpened):
    """The stretch of each image to its whole range in front of a network, as ``Sharpened`` has the sharpening."""

    def prepared(self, images: Tensor) -> Tensor:
        """The stretched images."""
        return stretch(images)


def sharpened(network: nn.Module, info: ModelInfo) -> tuple[nn.Module, ModelInfo]:
    """A network and its record, with the sharpening in front; the spec says so."""
    return Sharpened(network, mean=info.mean, std=info.std), replace(info, spec=f"sharpened:{info.spec}")


def stretched(network: nn.Module, info: ModelInfo) -> tuple[nn.Module, ModelInfo]:
    """A network and its record, with the stretch in front; the spec says so."""
    return Stretched(network, mean=info.mean, std=info.std), replace(info, spec=f"stretched:{info.spec}")
