"""The smallest change that closes a gap of a linear score, exactly, under each norm and within the room."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.core.budget import Norm
from percuss.core.norms import Room, maximiser

_ROUNDS = 40  # each tightens both bounds; a few suffice unless nearly all values are at their ends


def dual(norm: Norm, gradient: Tensor) -> Tensor:
    """Largest rise of a linear score by a change of size 1 without a room, float64 ``[N]``; at least 1e-300."""
    flat = gradient.flatten(1).double()
    if norm is Norm.LINF:
        size = flat.abs().sum(1)
    elif norm is Norm.L1:
        size = flat.abs().amax(1)
    elif norm is Norm.L0:
        size = gradient.double().abs().sum(1).flatten(1).amax(1)
    else:
        size = flat.norm(dim=1)
    return size.clamp_min(1e-300)


def rise(gradient: Tensor, change: Tensor) -> Tensor:
    """What a change adds to a score with this gradient, float64 ``[N]``."""
    return (gradient.double() * change.double()).flatten(1).sum(1)


def nearest(norm: Norm, gradient: Tensor, need: Tensor, room: Room) -> tuple[Tensor, Tensor]:
    """The smallest change by which the score rises by ``need``, and its size (l0: share of pixels).

    Args:
        norm: not none.
        gradient: of the score ``[N, C, H, W]``, in the scale of ``need``.
        need: float64 ``[N]``; nothing happens where it is 0 or less.
        room: what is out of reach within it gets as near as it can.
    """
    most = rise(gradient, room.corner(gradient))
    need = torch.minimum(need, most * (1 - 1e-7)).clamp_min(0)
    if norm is Norm.L0:
        return _nearest_pixels(gradient, need, room)
    low, low_rise = torch.zeros_like(need), torch.zeros_like(need)
    high = _reach(norm, gradient, room)
    high_rise = most
    guess = need / dual(norm, gradient)
    for _ in range(_ROUNDS):
        for _side in range(2):
            found = rise(gradient, maximiser(norm, gradient, guess, room))
            below = found < need
            low, low_rise = torch.where(below, guess, low), torch.where(below, found, low_rise)
            high, high_rise = torch.where(below, high, guess), torch.where(below, high_rise, found)
            # The rise is concave in the size: its chord reaches the need too late, and so bounds it from above.
            share = (need - low_rise) / (high_rise - low_rise).clamp_min(1e-300)
            guess = torch.where(need > 0, low + (high - low) * share.clamp(0, 1), torch.zeros_like(low))
        if bool((high - low <= 1e-5 * high).all() | (high_rise - need <= 1e-6 * need).all()):
            break
        guess = (low + guess) / 2
    size = torch.where(need > 0, high, torch.zeros_like(high))
    return maximiser(norm, gradient, size, room), size


def _reach(norm: Norm, gradient: Tensor, room: Room) -> Tensor:
    """Size of the change that goes to the ends of the room everywhere."""
    flat = room.corner(gradient).flatten(1).double()
    order = {Norm.LINF: torch.inf, Norm.L1: 1.0}.get(norm, 2.0)
    size: Tensor = flat.norm(p=order, dim=1)
    return size


def _nearest_pixels(gradient: Tensor, need: Tensor, room: Room) -> tuple[Tensor, Tensor]:
    corner = room.corner(gradient)
    gain = (gradient.double() * corner).sum(1).flatten(1)
    count = fewest(gain, need)
    kept = largest(gain, count).view(len(gain), 1, *gradient.shape[2:])
    return corner * kept, count.double() / gain.shape[1]


def nearest_values(gradient: Tensor, need: Tensor, room: Room) -> tuple[Tensor, Tensor]:
    """As ``nearest`` for l0, counting values rather than pixels; sizes as a share of values."""
    corner = room.corner(gradient)
    gain = (gradient.double() * corner).flatten(1)
    need = torch.minimum(need, gain.sum(1) * (1 - 1e-7)).clamp_min(0)
    count = fewest(gain, need)
    return corner * largest(gain, count).view_as(corner), count.double() / gain.shape[1]


def fewest(gain: Tensor, need: Tensor) -> Tensor:
    """How many of the largest gains ``[N, n]`` it takes to reach the need ``[N]``, long ``[N]``."""
    total = gain.sort(dim=1, descending=True).values.cumsum(1)
    count = (total < need.unsqueeze(1)).sum(1) + 1
    return torch.where(need > 0, count.clamp_max(gain.shape[1]), torch.zeros_like(count))


def largest(gain: Tensor, count: Tensor) -> Tensor:
    """Where the largest ``count`` of the gains of each row are, bool ``[N, n]``."""
    order = gain.argsort(dim=1, descending=True)
    within = torch.arange(gain.shape[1], device=gain.device) < count.unsqueeze(1)
    return torch.zeros_like(gain, dtype=torch.bool).scatter_(1, order, within)
