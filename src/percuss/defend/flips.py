"""Mirror images and quarter turns, drawn per image."""

from __future__ import annotations

import torch
from torch import Tensor


def flips(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images ``[N, C, H, W]``, each mirrored left-right by half a chance and, where square, turned by 0 to 3 quarters.

    Images that are not square keep their upside (a chest X-ray has one), so they are mirrored only.
    """
    count = len(images)
    mirrored = torch.rand(count, generator=generator) < 0.5
    found = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    if images.shape[2] != images.shape[3]:
        return found
    turns = torch.randint(0, 4, (count,), generator=generator)
    for quarters in (1, 2, 3):
        chosen = turns == quarters
        if bool(chosen.any()):
            found[chosen] = torch.rot90(found[chosen], quarters, (2, 3))
    return found
