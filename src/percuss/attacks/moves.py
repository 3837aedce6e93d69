"""One step uphill under each norm, for images that may each have their own size and be at their own step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.core.budget import Norm
from percuss.core.norms import Room, Size, maximiser, project, steepest


@dataclass(frozen=True)
class Place:
    """Where images are: change and room ``[N, C, H, W]``, and the memory of gradients that only l0 needs."""

    change: Tensor
    room: Room
    memory: Tensor

    @classmethod
    def at(cls, change: Tensor, room: Room, norm: Norm) -> Place:
        """A fresh start."""
        return cls(change, room, torch.zeros_like(change) if norm is Norm.L0 else change.new_zeros(len(change), 0))

    def rows(self, index: Tensor) -> Place:
        """Some of the images."""
        return Place(self.change[index], self.room.rows(index), self.memory[index])


def move(place: Place, gradient: Tensor, norm: Norm, *, eps: Size, length: Size, step: int | Tensor) -> Place:
    """One step from the place within ball and room.

    Args:
        place: where each image is.
        gradient: ``[N, C, H, W]``; its scale has no meaning.
        norm, eps: the ball; one size, or one per image.
        length: of the step in [0, 1] units, one or one per image; not used under l1 and l0.
        step: number of the step, from 0, one or one per image; used under l1.
    """
    if norm is Norm.L1:
        # A step of conditional gradient: the mean of two feasible changes is feasible, and few values move.
        weight = _column(2 / (torch.as_tensor(step, dtype=gradient.dtype, device=gradient.device) + 2), gradient)
        change = place.change + weight * (maximiser(norm, gradient, eps, place.room) - place.change)
        return Place(change, place.room, place.memory)
    if norm is Norm.L0:
        # The best pixels for the mean gradient so far, which cannot swing between two sets for ever.
        size = gradient.flatten(1).abs().sum(1).view(-1, 1, 1, 1)
        memory = place.memory + gradient / torch.where(size > 0, size, torch.ones_like(size))
        return Place(maximiser(norm, memory, eps, place.room), place.room, memory)
    room, change = place.room, place.change
    if norm is not Norm.LINF:  # values at the end of their room cannot follow: the length goes to the others
        stuck = ((gradient > 0) & (change >= room.high)) | ((gradient < 0) & (change <= room.low))
        gradient = gradient.masked_fill(stuck, 0)
    far = _column(torch.as_tensor(length, dtype=gradient.dtype, device=gradient.device), gradient)
    return Place(project(norm, change + far * steepest(norm, gradient), eps, room), room, place.memory)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.expand(len(like)).view(-1, 1, 1, 1)
