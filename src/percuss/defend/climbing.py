"""The inner attack: a few steps uphill within a ball, on a model that is being trained."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from percuss.attacks.moves import Place, move
from percuss.attacks.target import no_gradient
from percuss.core import dense
from percuss.core.budget import Norm
from percuss.core.images import Task
from percuss.core.losses import cross_entropy, direction
from percuss.core.model import Model, decide, is_right
from percuss.core.norms import Room, random_start
from percuss.core.seeds import ImageRandom

#: Direction on the logits ``[n, outputs]`` to climb; its scale has no meaning.
Slope = Callable[[Tensor], Tensor]
#: The direction to climb at each step, counted from 0.
Slopes = Callable[[int], Slope]


@dataclass(frozen=True)
class Climb:
    """Steps of projected gradient ascent, all of them for every image.

    Attributes:
        norm, eps: the ball, in the norm's own measure.
        steps: at least 1.
        length: of a step.
    """

    norm: Norm
    eps: float
    steps: int
    length: float

    def start(self, images: Tensor, rng: ImageRandom) -> Tensor:
        """A random change in the ball, ``[N, C, H, W]``."""
        return random_start(self.norm, self.eps, Room.of(images), rng)

    def attacked(self, model: Model, images: Tensor, slope: Slope, *, start: Tensor) -> Tensor:
        """The images after the last step, within ball and [0, 1]; every step climbs the same."""
        return self.climbed(model, images, lambda _: slope, start=start)

    def climbed(self, model: Model, images: Tensor, slopes: Slopes, *, start: Tensor) -> Tensor:
        """The images after the last step, within ball and [0, 1]."""
        place = Place.at(start, Room.of(images), self.norm)
        for number in range(self.steps):
            _, gradient = uphill(model, images + place.change, slopes(number))
            place = move(place, gradient, self.norm, eps=self.eps, length=self.length, step=number)
        return (images + place.change).clamp(0, 1)

    def survivors(self, model: Model, images: Tensor, targets: Tensor, *, start: Tensor) -> Tensor:
        """Whether the decision stays right without a change and at every step, bool ``[N]``."""
        with torch.no_grad():
            right = is_right(model(images), targets, model.task)
        rows = right.nonzero().flatten()
        place = Place.at(start, Room.of(images), self.norm).rows(rows)
        for number in range(self.steps + 1):
            if not len(rows):
                break
            now = (images[rows] + place.change).clamp(0, 1)
            logits, gradient = uphill(model, now, true_slope(targets[rows], model.task))
            stays = is_right(logits, targets[rows], model.task)
            right[rows[~stays]] = False
            rows, place, gradient = rows[stays], place.rows(stays), gradient[stays]
            if number < self.steps:
                place = move(place, gradient, self.norm, eps=self.eps, length=self.length, step=number)
        return right

    def lowest(self, model: Model, images: Tensor, truth: Tensor, *, start: Tensor) -> Tensor:
        """Quality of the class maps without a change or at the worst of all steps, float64 ``[N]``."""
        place = Place.at(start, Room.of(images), self.norm)
        with torch.no_grad():
            least = _quality(model(images), truth)
        for number in range(self.steps):
            logits, gradient = uphill(model, (images + place.change).clamp(0, 1), true_slope(truth, model.task))
            least = torch.minimum(least, _quality(logits, truth))
            place = move(place, gradient, self.norm, eps=self.eps, length=self.length, step=number)
        with torch.no_grad():
            return torch.minimum(least, _quality(model((images + place.change).clamp(0, 1)), truth))

    def hardest(self, model: Model, images: Tensor, truth: Tensor, *, start: Tensor) -> Tensor:
        """Logits ``[N, 2, h, w]`` of each heat map at its highest cross-entropy: without a change, or at any step."""
        place = Place.at(start, Room.of(images), self.norm)
        with torch.no_grad():
            held: Tensor = model(images)
        for number in range(self.steps + 1):
            logits, gradient = uphill(model, (images + place.change).clamp(0, 1), true_slope(truth, model.task))
            worse = cross_entropy(logits, truth, model.task) > cross_entropy(held, truth, model.task)
            held = torch.where(worse.view(-1, 1, 1, 1), logits, held)
            if number < self.steps:
                place = move(place, gradient, self.norm, eps=self.eps, length=self.length, step=number)
        return held


def _quality(logits: Tensor, truth: Tensor) -> Tensor:
    return dense.quality(decide(logits, "segment"), truth, logits.shape[1])


def true_slope(targets: Tensor, task: Task) -> Slope:
    """Away from the true decision: the direction of the cross-entropy, of class maps of that of all their pixels."""
    return lambda logits: direction(logits, targets, task)


def uphill(model: Model, images: Tensor, slope: Slope) -> tuple[Tensor, Tensor]:
    """Logits, and the direction uphill for the images. Weights get no gradient.

    NoGradientError where none reaches the images.
    """
    with torch.enable_grad():
        inputs = images.detach().requires_grad_(True)
        logits = model(inputs)
        if not logits.requires_grad:
            raise no_gradient()
        (found,) = torch.autograd.grad(logits, inputs, slope(logits.detach()), allow_unused=True)
    if found is None:
        raise no_gradient()
    return logits.detach(), torch.nan_to_num(found)


@contextlib.contextmanager
def mode(model: nn.Module, name: str) -> Iterator[None]:
    """``eval`` or ``train`` mode within; modes and running statistics are afterwards as before.

    In train mode the attack sees the statistics of its own batch (and dropout), but leaves no trace in the running
    ones: these belong to the pass that trains.
    """
    before = [(part, part.training) for part in model.modules()]
    kept = {key: value.clone() for key, value in model.named_buffers()} if name == "train" else {}
    model.train(name == "train")
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
        for key, value in model.named_buffers():
            if key in kept:
                value.copy_(kept[key])
