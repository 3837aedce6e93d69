"""What of an image its change shows: the size of the change per pixel, beside the edges of the image."""

from __future__ import annotations

import torch
from torch import Tensor


def edges(images: Tensor) -> Tensor:
    """Strength of the edges ``[N, H, W]`` of images ``[N, C, H, W]``: length of the gradient of their mean channel.

    Differences of neighbours on both sides, the border repeated; 0 where an image is flat.
    """
    grey = torch.nn.functional.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")[:, 0]
    across = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    down = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    return torch.hypot(across, down) / 2


def change_map(clean: Tensor, changed: Tensor) -> Tensor:
    """Size of the change of each pixel ``[N, H, W]``: the mean over its channels, of images ``[N, C, H, W]``."""
    return (changed - clean).abs().mean(1)
