"""The landscape of the loss around a model: along the way its weights came, or along random directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from percuss.core.errors import DataError, ModelError
from percuss.core.explained import Landscape
from percuss.core.losses import cross_entropy
from percuss.core.model import Model
from percuss.explain.asking import in_eval, place_of

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Plane:
    """Two directions in the space of the weights, as flat vectors of all parameters in order of their names.

    Attributes:
        kind: ``trajectory`` or ``random``.
        first, second: float32 ``[P]``; of length 1 for ``trajectory``, and of one unit per filter for ``random``.
        path: ``[T, 2]`` places of the checkpoints, empty for ``random``.
        way: float32 ``[T, P]`` steps from the model to the checkpoints themselves, empty for ``random``.
        shares: share of the way's variance along each direction.
    """

    kind: str
    first: Tensor
    second: Tensor
    path: Tensor
    way: Tensor
    shares: tuple[float, ...] = ()


def flat(model: Model, weights: Mapping[str, Tensor] | None = None) -> Tensor:
    """All parameters of the network as one float32 vector, of the model or of a state with the same names.

    Buffers (statistics of batch normalisation) do not belong to it. ModelError where a parameter is missing or of
    another shape.
    """
    found = []
    for name, value in sorted(model.network.named_parameters()):
        other = value if weights is None else weights.get(name)
        if other is None or other.shape != value.shape:
            raise ModelError(
                "a checkpoint is not of this network",
                value=f"{name}: {'missing' if other is None else tuple(other.shape)}, not {tuple(value.shape)}",
                next_step="give checkpoints of the training that gave this model",
            )
        found.append(other.detach().cpu().float().flatten())
    return torch.cat(found)


def trajectory_plane(model: Model, checkpoints: Sequence[Mapping[str, Tensor]]) -> Plane:
    """The plane of the first two principal components of {theta_t - theta_T} (Li et al. 2018), no mean taken off.

    Args:
        model: holds theta_T, the final weights: the origin.
        checkpoints: states of the network, oldest first; at least two that differ from the model in two directions.
            One may be the model itself.

    Raises DataError where the way is shorter or straight, ModelError for checkpoints of another network.
    """
    origin = flat(model)
    way = torch.stack([flat(model, state) for state in checkpoints]) - origin if checkpoints else torch.zeros(0, 1)
    # The small matrix of scalar products has the same components as the long vectors, and fits into memory.
    values, sides = torch.linalg.eigh((way @ way.T).double())
    values, sides = values.flip(0).clamp_min(0), sides.flip(1)
    if len(values) < 2 or values[1] <= 1e-6 * values[0]:
        raise DataError(
            "the checkpoints span no plane",
            value=f"{len(checkpoints)} checkpoints",
            allowed="at least two that differ from the final weights in different directions",
            next_step="keep weights of more epochs, or take random directions",
        )
    first, second = (way.T @ (sides[:, k] / values[k].sqrt()).float() for k in range(2))
    # The sign of a component means nothing: the start of the way is put at the left and below.
    first, second = (-axis if float(way[0] @ axis) > 0 else axis for axis in (first, second))
    shares = tuple(float(values[k] / values.sum()) for k in range(2))
    return Plane("trajectory", first, second, torch.stack([way @ first, way @ second], 1), way, shares)


def random_plane(model: Model, seed: int = 0) -> Plane:
    """Two random directions, each filter as long as the network's own (Li et al. 2018).

    Biases and other vectors (normalisation) do not move. One unit along a direction changes each filter by as much
    as its own length.
    """
    drawn = torch.Generator().manual_seed(seed)
    axes = []
    for _ in range(2):
        parts = []
        for _, value in sorted(model.network.named_parameters()):
            noise = torch.randn(value.shape, generator=drawn, dtype=torch.float32)
            own = value.detach().cpu().float()
            if value.dim() < 2:
                noise = torch.zeros_like(noise)
            else:
                size = noise.flatten(1).norm(dim=1).clamp_min(1e-12)
                noise *= (own.flatten(1).norm(dim=1) / size).view(-1, *[1] * (value.dim() - 1))
            parts.append(noise.flatten())
        axes.append(torch.cat(parts))
    return Plane("random", axes[0], axes[1], torch.zeros(0, 2), torch.zeros(0, len(axes[0])))


def grid(plane: Plane, points: int) -> tuple[Tensor, Tensor]:
    """Places across and up, float64 ``[points]`` each, 0 among them only by chance: the way with a fifth to spare,
    or -1 to 1 for random directions.
    """
    if plane.kind == "random" or not len(plane.path):
        side = torch.linspace(-1, 1, points, dtype=torch.float64)
        return side, side
    whole = torch.cat([plane.path.double(), torch.zeros(1, 2, dtype=torch.float64)])
    low, high = whole.min(0).values, whole.max(0).values
    # Neither side is drawn shorter than a third of the other, else the picture shows a line.
    span = (high - low).clamp_min(float((high - low).max()) / 3)
    middle, half = (low + high) / 2, span * 0.7
    ends = [(float(middle[k] - half[k]), float(middle[k] + half[k])) for k in range(2)]
    across, up = (torch.linspace(*end, points, dtype=torch.float64) for end in ends)
    return across, up


@contextmanager
def at_weights(model: Model, vector: Tensor) -> Iterator[None]:
    """Within, the network has the weights of a flat vector; afterwards exactly its own again.

    Statistics of batch normalisation stay those of the model.
    """
    own = {name: value.detach().clone() for name, value in model.network.named_parameters()}
    try:
        with torch.no_grad():
            start = 0
            for _, value in sorted(model.network.named_parameters()):
                value.copy_(vector[start : start + value.numel()].view_as(value))
                start += value.numel()
        yield
    finally:
        with torch.no_grad():
            for name, value in model.network.named_parameters():
                value.copy_(own[name])


def loss_at(model: Model, vector: Tensor, images: Tensor, *, targets: Tensor, batch_size: int = 64) -> float:
    """Mean cross-entropy of the model with these weights on images ``[N, C, H, W]``; NaN where it is not finite."""
    device, total = place_of(model), 0.0
    with at_weights(model, vector), in_eval(model), torch.no_grad():
        for part, wanted in zip(torch.split(images, batch_size), torch.split(targets, batch_size), strict=True):
            logits = model(part.to(device)).cpu()
            total += float(cross_entropy(logits, wanted.cpu(), model.task).double().sum())
    mean = total / max(len(images), 1)
    return mean if np.isfinite(mean) else float("nan")


def landscape(
    model: Model,
    images: Tensor,
    targets: Tensor,
    *,
    plane: Plane,
    points: int = 15,
    row: Callable[[int, Callable[[], list[float]]], list[float]] | None = None,
) -> Landscape:
    """The loss on a grid of a plane, and at the true weights of the way.

    Args:
        model: left with its own weights.
        images, targets: as for ``core.losses.cross_entropy``; the same for every place.
        plane: of ``trajectory_plane`` or ``random_plane``.
        points: places per side, at least 3.
        row: asked for each row of the grid (and for the way, as row ``points``) with a function that computes it;
            may give an earlier result instead. Computes all where None.
    """
    if points < 3 or not len(images):
        raise DataError("a landscape needs images and at least 3 places per side", value=f"{len(images)}, {points}")
    ask = row or (lambda _, compute: compute())
    origin, (across, up) = flat(model), grid(plane, points)

    def line(height: float) -> list[float]:
        base = origin + height * plane.second
        return [loss_at(model, base + x * plane.first, images, targets=targets) for x in across.tolist()]

    def way() -> list[float]:
        return [loss_at(model, origin + step, images, targets=targets) for step in plane.way]

    loss = [ask(number, partial(line, height)) for number, height in enumerate(up.tolist())]
    path_loss = ask(points, way) if len(plane.path) else []
    return Landscape(
        plane.kind, across.numpy(), up.numpy(), np.array(loss), plane.path.numpy(), np.array(path_loss), plane.shares
    )
