"""Pixels of a change put at other places: noise that has every size of the change."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.core.seeds import ImageRandom


def shuffle_pixels(change: Tensor, rng: ImageRandom, region: Tensor | None = None) -> Tensor:
    """The pixels of changes ``[N, C, H, W]`` in random order, another one for each image; channels stay together.

    Args:
        change: one per generator, or one for all, ``[1, C, H, W]``.
        rng: one generator per image.
        region: bool ``[N, H, W]``; the pixels inside are shuffled among themselves, and those outside become 0.
    """
    channels, high, wide = change.shape[1:]
    draws = rng.uniform((high * wide,)).to(change.device)
    order = draws.argsort(dim=1, stable=True)
    places = torch.arange(high * wide, device=change.device).expand_as(order)
    if region is not None:  # pixels inside come first, here in random order and there in their own
        outside = ~region.flatten(1).to(change.device)
        order = (draws + 2.0 * outside).argsort(dim=1, stable=True)
        places = outside.byte().argsort(dim=1, stable=True)
    values = change.flatten(2).expand(len(order), -1, -1).gather(2, order.unsqueeze(1).expand(-1, channels, -1))
    moved = torch.zeros_like(values).scatter(2, places.unsqueeze(1).expand_as(values), values)
    if region is not None:
        moved = moved.masked_fill(outside.unsqueeze(1), 0)
    return moved.view(-1, channels, high, wide)
