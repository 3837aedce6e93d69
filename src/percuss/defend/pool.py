"""What an epoch draws from: the training images, or as many of each class as asked for, with augmented copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.core.seeds import seed_of
from percuss.defend.flips import flips
from percuss.defend.settings import TrainSettings
from percuss.defend.turning import turned


@dataclass(frozen=True)
class Pool:
    """Rows of the training images, ``[M]`` long, and which copy of its image each is; 0 is the image itself."""

    rows: Tensor
    copies: Tensor

    @classmethod
    def of(cls, targets: Tensor, settings: TrainSettings) -> Pool:
        """Every image once; with ``balance`` copies of the images of rarer classes until each has that many.

        Images of a class get the same number of copies, up to one; which get one more follows from the seed.
        UsageError where images have several labels, so that no class can be filled up.
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

    def augmented(
        self, images: Tensor, batch: Tensor, *, ids: Sequence[str], settings: TrainSettings, generator: torch.Generator
    ) -> Tensor:
        """The images of a batch of places, augmented.

        Without ``balance`` each epoch draws anew. With it the images themselves stay, and a copy is the same in each
        epoch, as if the copies had been written to disk before the training.
        """
        if settings.augment == "none":
            return images
        if settings.balance is None:
            return _moved(images, settings, generator)
        found = images.clone()
        for place, copy in enumerate(self.copies[batch].tolist()):
            if copy:
                own = torch.Generator().manual_seed(seed_of(settings.seed, "copy", ids[place], copy))
                found[place : place + 1] = _moved(images[place : place + 1], settings, own)
        return found


def _moved(images: Tensor, settings: TrainSettings, generator: torch.Generator) -> Tensor:
    if settings.augment == "flips":
        return flips(images, generator)
    return turned(images, generator, name=settings.augment)
