"""What an epoch draws from: the training images, or as many of each class as asked for, with augmented copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.core.seeds import seed_of
from percuss.defend.flips import draw_flips
from percuss.defend.settings import TrainSettings
from percuss.defend.turning import draw_turns


@dataclass(frozen=True)
class Drawn:
    """Images of a batch with their ids and targets; ``[N, C, H, W]``, class maps ``[N, H, W]``."""

    ids: Sequence[str]
    images: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Pool:
    """Rows of the training images, ``[M]`` long, and which copy of its image each is; 0 is the image itself."""

    rows: Tensor
    copies: Tensor

    @classmethod
    def of(cls, targets: Tensor, settings: TrainSettings) -> Pool:
        """Every image once; with ``balance`` copies of the images of rarer classes until each has that many.

        Images of a class get the same number of copies, up to one; which get one more follows from the seed.
        UsageError where images have several labels or class maps, so that no class can be filled up.
        """
        count = len(targets)
        if settings.balance is None:
            return cls(torch.arange(count), torch.zeros(count, dtype=torch.long))
        if targets.dim() != 1:
            raise UsageError(
                "balance needs images of one class each",
                value=settings.balance,
                next_step="leave --balance, or give --class-weights",
            )
        rows, copies = [], []
        for name in sorted(set(targets.tolist())):
            members = torch.nonzero(targets == name).flatten()
            generator = torch.Generator().manual_seed(seed_of(settings.seed, "balance", name))
            members = members[torch.randperm(len(members), generator=generator)]
            places = torch.arange(max(len(members), settings.balance))
            rows.append(members[places % len(members)])
            copies.append(places // len(members))
        return cls(torch.cat(rows), torch.cat(copies))

    def order(self, settings: TrainSettings, generator: torch.Generator) -> Tensor:
        """Places of the pool in the order of one epoch, ``epoch_share`` of them, another draw each epoch."""
        order = torch.randperm(len(self.rows), generator=generator)
        return order[: max(1, round(settings.epoch_share * len(order)))]

    def augmented(self, drawn: Drawn, batch: Tensor, *, settings: TrainSettings, generator: torch.Generator) -> Drawn:
        """What was drawn for a batch of places, augmented; class maps move with their images.

        Without ``balance`` each epoch draws anew. With it the images themselves stay, and a copy is the same in each
        epoch, as if the copies had been written to disk before the training.
        """
        if settings.augment == "none":
            return drawn
        if settings.balance is None:
            return _moved(drawn, settings, generator)
        found = drawn.images.clone()
        for place, copy in enumerate(self.copies[batch].tolist()):
            if copy:
                own = torch.Generator().manual_seed(seed_of(settings.seed, "copy", drawn.ids[place], copy))
                alone = slice(place, place + 1)
                one = Drawn(drawn.ids[alone], drawn.images[alone], drawn.targets[alone])
                found[alone] = _moved(one, settings, own).images
        return replace(drawn, images=found)


def _moved(drawn: Drawn, settings: TrainSettings, generator: torch.Generator) -> Drawn:
    shape = drawn.images.shape
    motion = (
        draw_flips(shape, generator)
        if settings.augment == "flips"
        else draw_turns(shape, generator, name=settings.augment)
    )
    images = motion.images(drawn.images)
    return Drawn(drawn.ids, images, motion.maps(drawn.targets) if drawn.targets.dim() == 3 else drawn.targets)
