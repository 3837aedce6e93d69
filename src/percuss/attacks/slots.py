"""Images under attack at once, each at its own size and step, and how its margin has gone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.attacks.moves import Place
from percuss.core.norms import Room

#: Margins remembered: the rise of the margin is measured over so many steps.
SPAN = 3


@dataclass(frozen=True)
class Slots:
    """Images under attack.

    Attributes:
        row, size, step: row in the batch, index of the size, steps of this attack so far.
        place: where each is.
        trail: its last margins ``[n, SPAN + 1]``, the newest last; -inf before the attack began.
        shrink: its step length over the plain one.
    """

    row: Tensor
    size: Tensor
    step: Tensor
    place: Place
    trail: Tensor
    shrink: Tensor

    @classmethod
    def at(cls, row: Tensor, size: Tensor, place: Place) -> Slots:
        """The beginning of an attack."""
        trail = torch.full((len(row), SPAN + 1), -torch.inf, dtype=torch.float64, device=row.device)
        return cls(row, size, torch.zeros_like(size), place, trail, trail.new_ones(len(row)))

    def rows(self, index: Tensor) -> Slots:
        """Some of them."""
        return Slots(
            self.row[index],
            self.size[index],
            self.step[index],
            self.place.rows(index),
            self.trail[index],
            self.shrink[index],
        )

    def seen(self, margin: Tensor) -> Slots:
        """With the margin of where they are now; a step that lowers it halves the next ones."""
        fell = margin < self.trail[:, -1]
        trail = torch.cat([self.trail[:, 1:], margin[:, None]], dim=1)
        return Slots(self.row, self.size, self.step, self.place, trail, torch.where(fell, self.shrink / 2, self.shrink))

    def needed(self) -> Tensor:
        """Steps until the margin is 0 if it goes on rising as it has over the last ``SPAN``.

        Infinite where it does not rise; 0 where it was not seen for so long.
        """
        now, rise = self.trail[:, -1], (self.trail[:, -1] - self.trail[:, 0]) / SPAN
        steps = torch.where(rise > 0, -now / rise, torch.inf)
        return torch.where(self.trail[:, 0].isinf(), 0.0, steps)

    def begun_anew(self, which: Tensor, size: Tensor) -> Slots:
        """Some of them (bool ``[n]``) at the beginning of an attack, all with these sizes."""
        anew = Slots.at(self.row, size, self.place)
        return Slots(
            self.row,
            size,
            torch.where(which, anew.step, self.step),
            self.place,
            torch.where(which[:, None], anew.trail, self.trail),
            torch.where(which, anew.shrink, self.shrink),
        )

    def moved(self, place: Place) -> Slots:
        """One step later."""
        return Slots(self.row, self.size, self.step + 1, place, self.trail, self.shrink)

    def __len__(self) -> int:
        return len(self.row)


def part(slots: Slots, start: int, stop: int | None = None) -> Slots:
    """Slots from one place to another."""
    return slots.rows(torch.arange(len(slots), device=slots.row.device)[start:stop])


def joined(first: Slots, second: Slots) -> Slots:
    """Both, one after the other."""
    if not len(second):
        return first
    if not len(first):
        return second
    one, two = first.place, second.place
    room = Room(torch.cat([one.room.low, two.room.low]), torch.cat([one.room.high, two.room.high]))
    place = Place(torch.cat([one.change, two.change]), room, torch.cat([one.memory, two.memory]))
    return Slots(
        torch.cat([first.row, second.row]),
        torch.cat([first.size, second.size]),
        torch.cat([first.step, second.step]),
        place,
        torch.cat([first.trail, second.trail]),
        torch.cat([first.shrink, second.shrink]),
    )
