"""Images mirrored, turned by any angle, moved and zoomed, drawn per image; what lies outside is the nearest edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from percuss.core.dense import IGNORE

#: Augmentations by name: largest angle in degrees, largest move as a share of each side, largest zoom either way.
TURNS = {"rotate20": (20.0, 0.0, 0.0), "rotate20shift": (20.0, 0.1, 0.0), "rotate180zoom": (180.0, 0.1, 0.1)}


@dataclass(frozen=True)
class Turns:
    """Where each pixel of the moved images lies in the images given, ``[N, H, W, 2]`` from -1 to 1 along each side."""

    grid: Tensor

    def images(self, images: Tensor) -> Tensor:
        """Images ``[N, C, H, W]`` in [0, 1], moved; bilinear between pixels, outside the nearest pixel's value."""
        grid = self.grid.to(images.device, images.dtype)
        return nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False).clamp(0, 1)

    def maps(self, maps: Tensor) -> Tensor:
        """Class maps ``[N, H, W]`` uint8, moved as their images; the nearest pixel's class, outside ``IGNORE``.

        Nobody labelled what lies outside, so no pixel there is learnt from, whatever the image shows in its place.
        """
        # The outside is sampled as 0, so classes begin with 1 meanwhile.
        numbered = maps.unsqueeze(1).to(self.grid.dtype) + 1
        found = nn.functional.grid_sample(
            numbered, self.grid, mode="nearest", padding_mode="zeros", align_corners=False
        )
        return torch.where(found > 0, found - 1, IGNORE).squeeze(1).to(maps.dtype)


def draw_turns(shape: Sequence[int], generator: torch.Generator, *, name: str) -> Turns:
    """Draws for images ``[N, C, H, W]``: each mirrored, turned, moved and zoomed by chance.

    Moved along each side, mirrored left-right and upside down, each by half a chance, turned about its middle by an
    angle drawn evenly within the largest one, and drawn larger or smaller.

    Args:
        shape: of the images.
        generator: of the CPU, so that a training draws the same anywhere.
        name: a key of ``TURNS``.
    """
    angle, reach, most = TURNS[name]
    count, (height, width) = shape[0], shape[2:]
    flip = torch.where(torch.rand(count, 2, generator=generator) < 0.5, -1.0, 1.0)
    turn = (2 * torch.rand(count, generator=generator) - 1) * math.radians(angle)
    # A move by the whole side is 2 in the grid's coordinates, which run from -1 to 1.
    move = (2 * torch.rand(count, 2, generator=generator) - 1) * 2 * reach
    # Drawn last and only where wanted, so that the others draw the same without it.
    zoom = 1 + most * (2 * torch.rand(count, generator=generator) - 1) if most else torch.ones(count)
    sine, cosine, aspect = turn.sin() / zoom, turn.cos() / zoom, height / width
    rows = [torch.stack([cosine * flip[:, 0], -sine * aspect * flip[:, 0], move[:, 0]], 1)]
    rows.append(torch.stack([sine / aspect * flip[:, 1], cosine * flip[:, 1], move[:, 1]], 1))
    return Turns(nn.functional.affine_grid(torch.stack(rows, 1), list(shape), align_corners=False))


def turned(images: Tensor, generator: torch.Generator, *, name: str) -> Tensor:
    """Images ``[N, C, H, W]`` in [0, 1], each moved as ``draw_turns`` draws.

    Values between pixels are bilinear, those outside the nearest pixel's (``nearest`` of Keras, as Joel et al. 2022
    filled them).

    Args:
        images: on the CPU or a device.
        generator: of the CPU.
        name: a key of ``TURNS``.
    """
    return draw_turns(images.shape, generator, name=name).images(images)
