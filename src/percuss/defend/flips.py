"""Mirror images and quarter turns, drawn per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Flips:
    """What was drawn for each image: mirrored left-right or not, bool ``[N]``, and quarter turns, ``[N]`` or None."""

    mirrored: Tensor
    turns: Tensor | None

    def images(self, images: Tensor) -> Tensor:
        """Images ``[N, C, H, W]`` mirrored and turned."""
        found = torch.where(self.mirrored.view(-1, 1, 1, 1), images.flip(3), images)
        if self.turns is None:
            return found
        for quarters in (1, 2, 3):
            chosen = self.turns == quarters
            if bool(chosen.any()):
                found[chosen] = torch.rot90(found[chosen], quarters, (2, 3))
        return found

    def maps(self, maps: Tensor) -> Tensor:
        """Class maps ``[N, H, W]`` moved as their images."""
        return self.images(maps.unsqueeze(1)).squeeze(1)


def draw_flips(shape: Sequence[int], generator: torch.Generator) -> Flips:
    """Draws for images ``[N, C, H, W]``: mirrored left-right by half a chance, where square turned by 0 to 3 quarters.

    Images that are not square keep their upside (a chest X-ray has one), so they are mirrored only.
    """
    mirrored = torch.rand(shape[0], generator=generator) < 0.5
    square = shape[2] == shape[3]
    return Flips(mirrored, torch.randint(0, 4, (shape[0],), generator=generator) if square else None)


def flips(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images ``[N, C, H, W]``, each mirrored and turned as ``draw_flips`` draws."""
    return draw_flips(images.shape, generator).images(images)
