"""sharpened:SPEC, any model behind the sharpening of X-rays: attacks act before the sharpening."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from percuss.core.model import ModelInfo
from percuss.core.sharpening import sharpen


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

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives on the sharpened images; ``[N, C, H, W]``, normalised."""
        # Normalising and undoing it may leave [0, 1] by a rounding error.
        plain = (images * self.std + self.mean).clamp(0, 1)
        found: Tensor = self.network((sharpen(plain) - self.mean) / self.std)
        return found


def sharpened(network: nn.Module, info: ModelInfo) -> tuple[nn.Module, ModelInfo]:
    """A network and its record, with the sharpening in front; the spec says so."""
    return Sharpened(network, mean=info.mean, std=info.std), replace(info, spec=f"sharpened:{info.spec}")
