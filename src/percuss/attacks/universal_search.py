"""One change for all images: the steps that make it, for any task and norm.

``sgd``: plain stochastic gradient ascent of the cross-entropy, one update for each example, projected onto the ball,
after H. Foote et al. (REET, computational pathology). Under l1 and l0, where projecting after each step would never
let a new pixel in, the sum of all updates is projected instead (dual averaging).

``batched``: the same search made stronger. A step follows a group of images and climbs a smooth count of the flipped
ones, a sigmoid of their margins, so that images flipped with some lead let go (compare the clipped loss of A. Shafahi
et al., AAAI 2020), and so do those out of reach. Gradients are free of the model's confidence
(``core.losses.direction``), so that none underflows. Momentum, and steps under each norm that shrink with a cosine.

Nothing here depends on how many images are held at once: gradients are asked for in fixed portions, in order, and
summed in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from percuss.attacks.eval_mode import device_of
from percuss.attacks.moves import Place, move
from percuss.attacks.target import Batch, Goal, Target
from percuss.core.budget import Norm
from percuss.core.errors import AttackError
from percuss.core.model import Model
from percuss.core.norms import Room, pixels_allowed, project

Method = Literal["sgd", "batched"]
METHODS: tuple[Method, ...] = ("sgd", "batched")
#: Images of one gradient call; fixed, so that results do not depend on memory.
PORTION = 16
_MOMENTUM = 0.9
_FREE_SIZE = 8 / 255  # what a step is measured by where the norm sets no limit


@dataclass(frozen=True)
class Setup:
    """What decides the search.

    Attributes:
        norm, eps: the ball of the change, eps in the norm's absolute measure (infinite for none).
        method: ``sgd`` or ``batched``.
        rate: batched: first step as a share of eps; sgd: mean update as a share of the ball's radius.
        group: images per step of ``batched``; ``sgd`` takes one.
        steps: number of steps in all.
        scale: sgd: mean Euclidean size of the gradient on clean images; batched: their mean distance from the border,
            in logits (``calibrate``).
    """

    norm: Norm
    eps: float
    method: Method
    rate: float
    group: int
    steps: int
    scale: float = 1.0


@dataclass(frozen=True)
class UniversalState:
    """Where the search is: the change, its memory and momentum, each float32 ``[1, C, H, W]``, and steps done."""

    change: Tensor
    memory: Tensor
    velocity: Tensor
    step: int = 0

    @classmethod
    def start(cls, shape: tuple[int, ...]) -> UniversalState:
        """No change at all, for images ``[C, H, W]``."""
        zero = torch.zeros(1, *shape)
        return cls(zero, zero.clone(), zero.clone())


def apply_change(images: Tensor, change: Tensor, region: Tensor | None = None) -> Tensor:
    """Images ``[N, C, H, W]`` with the change ``[1, C, H, W]``, cut to [0, 1]: never larger than the change.

    With a region, bool ``[N, H, W]``, images stay as they are outside.
    """
    return Batch(images, images, region).within((images + change.to(images)).clamp(0, 1))


def calibrate(model: Model, batch: Batch, setup: Setup) -> Setup:
    """The setup with its scale, from some clean training images; AttackError where no gradient can be followed."""
    slope, margins = _gradients(model, batch, torch.zeros_like(batch.images[:1]), setup)
    sizes = slope.flatten(1).double().norm(dim=1)
    by_margin = setup.method == "batched" and model.task != "heatmap"
    scale = float(margins.abs().mean()) if by_margin else float(sizes.mean())
    if not math.isfinite(scale) or scale <= 0:
        raise AttackError(
            "the gradients on the training images are zero",
            value=setup.method,
            next_step="give --method batched, which does not fade with the model's confidence"
            if setup.method == "sgd"
            else "look for rounding, thresholds or a saturated output in the model",
        )
    return replace(setup, scale=scale)


def advance(model: Model, batch: Batch, state: UniversalState, *, setup: Setup) -> UniversalState:
    """One step on a group of images (``sgd``: exactly one image); the model must be frozen."""
    slope, margins = _gradients(model, batch, state.change, setup)
    if setup.method == "sgd":
        return _plain_step(slope, state, setup)
    # Heat maps have no moment of flipping: every image pulls alike, up the cross-entropy.
    pull = torch.ones_like(margins) if model.task == "heatmap" else _pull(margins, setup.scale)
    total = (slope.double() * pull.view(-1, 1, 1, 1)).sum(0, keepdim=True)
    size = float(total.abs().mean())
    if size > 0:
        total = total / size
    velocity = _MOMENTUM * state.velocity + total.float()
    place = Place(state.change, _room(state.change), state.memory)
    moved = move(place, velocity, setup.norm, eps=setup.eps, length=_length(setup, state.step), step=state.step)
    memory = moved.memory if setup.norm is Norm.L0 else state.memory
    return UniversalState(moved.change, memory, velocity, state.step + 1)


def _pull(margins: Tensor, scale: float) -> Tensor:
    """Weight of each image in a step: the slope of a sigmoid of its margin, a smooth count of flipped images.

    What counts is how many flip, so images flipped with some lead and images far from flipping let go; a loss that
    grows with the distance would settle in the middle where classes pull against each other, and flip nothing.
    """
    share = torch.sigmoid(2 * margins / scale)
    return share * (1 - share)


def _plain_step(slope: Tensor, state: UniversalState, setup: Setup) -> UniversalState:
    update = slope.sum(0, keepdim=True) * (setup.rate * _radius(setup, state.change) / setup.scale)
    lazy = setup.norm in (Norm.L1, Norm.L0)
    memory = state.memory + update if lazy else state.memory
    wanted = memory if lazy else state.change + update
    change = project(setup.norm, wanted, setup.eps, _room(wanted))
    return UniversalState(change, memory, state.velocity, state.step + 1)


def _gradients(model: Model, batch: Batch, change: Tensor, setup: Setup) -> tuple[Tensor, Tensor]:
    """Gradients ``[N, C, H, W]`` on the CPU by the change, and margins float64 ``[N]``; above 0 is flipped."""
    device, slopes, margins = device_of(model), [], []
    for start in range(0, len(batch.images), PORTION):
        images = batch.images[start : start + PORTION].to(device)
        targets = batch.targets[start : start + PORTION].to(device)
        rows = torch.arange(len(images), device=device)
        moved = images + change.to(device)
        region = None if batch.region is None else batch.region[start : start + PORTION].to(device)
        target = Target(model, Batch(images, targets, region), Goal(), pixels=None)
        logits, slope = target.gradient(moved.clamp(0, 1), rows, raw=setup.method == "sgd")
        if setup.norm is not Norm.L0:  # a value that the range holds back does not follow; under l0 size costs nothing
            slope = slope.masked_fill((moved < 0) | (moved > 1), 0)
        slopes.append(slope.cpu())
        margins.append(target.margin(logits, rows).cpu())
    return torch.cat(slopes), torch.cat(margins)


def _room(change: Tensor) -> Room:
    """A change of one value may be as large as the range; each image cuts it to its own room."""
    return Room(torch.full_like(change, -1.0), torch.full_like(change, 1.0))


def _length(setup: Setup, step: int) -> float:
    """Length of a step: from ``rate`` of the size down to a twentieth of that, along a cosine."""
    share = step / max(setup.steps, 1)
    size = setup.eps if math.isfinite(setup.eps) else _FREE_SIZE
    return size * setup.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def _radius(setup: Setup, change: Tensor) -> float:
    """Euclidean size of the largest changes in the ball."""
    root = math.sqrt(change[0].numel())
    if setup.norm is Norm.LINF:
        return setup.eps * root
    if setup.norm is Norm.L1:
        return math.sqrt(setup.eps) if setup.eps > 1 else setup.eps
    if setup.norm is Norm.L0:
        return math.sqrt(max(1, int(pixels_allowed(setup.eps, change)[0])) * change.shape[1])
    return setup.eps if setup.norm is Norm.L2 else _FREE_SIZE * root
