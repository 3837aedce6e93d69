"""Images mirrored, turned by any angle, moved and zoomed, drawn per image; what lies outside is the nearest edge."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Augmentations by name: largest angle in degrees, largest move as a share of each side, largest zoom either way.
TURNS = {"rotate20": (20.0, 0.0, 0.0), "rotate20shift": (20.0, 0.1, 0.0), "rotate180zoom": (180.0, 0.1, 0.1)}


def turned(images: Tensor, generator: torch.Generator, *, name: str) -> Tensor:
    """Images ``[N, C, H, W]`` in [0, 1], each mirrored, turned, moved and zoomed by chance.

    Moved along each side, mirrored left-right and upside down, each by half a chance, turned about its middle by an
    angle drawn evenly within the largest one, and drawn larger or smaller. Values between pixels are bilinear, those
    outside the nearest pixel's (``nearest`` of Keras, as Joel et al. 2022 filled them).

    Args:
        images: on the CPU or a device.
        generator: of the CPU, so that a training draws the same anywhere.
        name: a key of ``TURNS``.
    """
    angle, reach, most = TURNS[name]
    count, (height, width) = len(images), images.shape[2:]
    flip = torch.where(torch.rand(count, 2, generator=generator) < 0.5, -1.0, 1.0)
    turn = (2 * torch.rand(count, generator=generator) - 1) * math.radians(angle)
    # A move by the whole side is 2 in the grid's coordinates, which run from -1 to 1.
    move = (2 * torch.rand(count, 2, generator=generator) - 1) * 2 * reach
    # Drawn last and only where wanted, so that the others draw the same without it.
    zoom = 1 + most * (2 * torch.rand(count, generator=generator) - 1) if most else torch.ones(count)
    sine, cosine, aspect = turn.sin() / zoom, turn.cos() / zoom, height / width
    rows = [torch.stack([cosine * flip[:, 0], -sine * aspect * flip[:, 0], move[:, 0]], 1)]
    rows.append(torch.stack([sine / aspect * flip[:, 1], cosine * flip[:, 1], move[:, 1]], 1))
    where = torch.stack(rows, 1).to(images.device, images.dtype)
    grid = nn.functional.affine_grid(where, list(images.shape), align_corners=False)
    found = nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return found.clamp(0, 1)
