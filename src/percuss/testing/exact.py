"""Linear models whose smallest flipping change is known exactly for every norm, with the box of the pixels.

The formulas here are written apart from ``percuss.core.norms`` on purpose: they are what it is tested against.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from percuss.core.budget import Budget, Norm
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo, decide
from percuss.testing.codes import code_model

Kind = Literal["two", "three", "seven", "single", "labels", "pixels", "cells", "codes"]
KINDS: dict[Kind, tuple[int, int]] = {
    "two": (2, 2),
    "three": (3, 3),
    "seven": (7, 7),
    "single": (2, 1),
    "labels": (3, 3),
}
Array = np.ndarray[Any, Any]


def linear_model(kind: Kind, shape: tuple[int, int, int] = (3, 6, 6), *, seed: int = 0, scale: float = 1.0) -> Model:
    """A linear model with random weights, balanced on the grey image.

    Args:
        kind: ``two``, ``three`` or ``seven`` classes, ``single`` logit for two, three ``labels``, ``pixels``
            (``pixel_model``), ``cells`` (``cell_model``) or ``codes`` (``percuss.testing.codes.code_model``).
        shape: channels, height, width.
        seed: of the weights.
        scale: factor on weights and bias; no attack may depend on it.
    """
    if kind == "pixels":
        return pixel_model(channels=shape[0], seed=seed, scale=scale)
    if kind == "cells":
        return cell_model(channels=shape[0], seed=seed, scale=scale)
    if kind == "codes":
        return code_model(channels=shape[0], seed=seed, scale=scale)
    classes, outputs = KINDS[kind]
    values = int(np.prod(shape))
    layer = nn.Linear(values, outputs)
    weight = torch.randn(outputs, values, generator=torch.Generator().manual_seed(seed)) * 0.2
    with torch.no_grad():
        layer.weight.copy_(weight * scale)
        layer.bias.copy_(-weight.sum(1) * scale / 2)
    task: Literal["classify", "multilabel"] = "multilabel" if kind == "labels" else "classify"
    info = ModelInfo(f"linear-{kind}", task, tuple(map(str, range(classes))), shape[0])
    return Model(nn.Sequential(nn.Flatten(), layer), info)


def pixel_model(*, classes: int = 3, channels: int = 3, seed: int = 0, scale: float = 1.0) -> Model:
    """A segmenter that decides each pixel from its own values, linearly: a 1x1 convolution with random weights.

    What flips a pixel is known exactly: ``pixel_flips``.
    """
    layer = nn.Conv2d(channels, classes, 1)
    weight = torch.randn(classes, channels, 1, 1, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        layer.weight.copy_(weight * scale)
        assert layer.bias is not None  # made with one
        layer.bias.copy_(-weight.sum((1, 2, 3)) * scale / 2)
    return Model(layer, ModelInfo("pixels", "segment", tuple(map(str, range(classes))), channels))


def pixel_flips(model: Model, batch: Tensors, eps: float) -> Tensor:
    """Which pixels some change within linf ``eps`` and the box turns from their target, bool ``[N, H, W]``."""
    layer = model.network
    assert isinstance(layer, nn.Conv2d)
    weight = layer.weight.detach().flatten(1)
    images, targets = batch.images, batch.targets.long()
    with torch.no_grad():
        logits = model(images)
    flips = torch.zeros_like(targets, dtype=torch.bool)
    for other in range(len(weight)):
        slope = weight[other] - weight[targets]  # [N, H, W, channels]
        room = torch.where(slope > 0, 1 - images.movedim(1, -1), images.movedim(1, -1)).clamp_max(eps)
        gap = logits[:, other] - logits.gather(1, targets.unsqueeze(1)).squeeze(1)
        flips |= (targets != other) & (gap + (slope.abs() * room).sum(-1) > 0)
    return flips


def cell_model(*, cell: int = 2, channels: int = 3, seed: int = 0, scale: float = 1.0) -> Model:
    """A heat map that decides each cell from its own mean colour, linearly, with random weights.

    What flips a cell is known exactly: ``cell_flips``.
    """
    layer = nn.Conv2d(channels, 1, 1)
    weight = torch.randn(1, channels, 1, 1, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        layer.weight.copy_(weight * scale)
        assert layer.bias is not None  # made with one
        layer.bias.copy_(-weight.sum((1, 2, 3)) * scale / 2)
    info = ModelInfo("cells", "heatmap", ("normal", "tumour"), channels, cell=cell)
    return Model(nn.Sequential(nn.AvgPool2d(cell), layer), info)


def cell_flips(model: Model, batch: Tensors, eps: float) -> Tensor:
    """Which cells of a ``cell_model`` some change within linf ``eps`` and the box turns from their target."""
    layer = model.network[1]  # type: ignore[index]
    way = (1 - 2 * batch.targets.double()).unsqueeze(1)  # up for normal cells, down for tumour
    slope = layer.weight.detach().double() * way.repeat_interleave(model.info.cell, 2).repeat_interleave(
        model.info.cell, 3
    )
    room = torch.where(slope > 0, 1 - batch.images, batch.images).clamp_max(eps)
    gain = nn.functional.avg_pool2d((slope.abs() * room).sum(1, keepdim=True), model.info.cell)
    with torch.no_grad():
        logit = model(batch.images)[:, 1:].double()
    moved = (way * logit + gain).squeeze(1)
    return torch.where(batch.targets == 0, moved > 0, moved >= 0)


def pixel_smallest(model: Model, batch: Tensors, norm: Norm, *, share: float) -> Array:
    """Smallest size that makes a share of the pixels wrong, ``[N]``: the cheapest pixels, each by its own least change.

    ``model`` is one of ``pixel_model``; sizes as budgets count them (l0: share of pixels), within the box.
    """
    layer = model.network
    assert isinstance(layer, nn.Conv2d)
    weight = layer.weight.detach().flatten(1).double().numpy()
    with torch.no_grad():
        logits = model(batch.images).double().movedim(1, -1).flatten(1, 2).numpy()
    images, targets = batch.images.double().movedim(1, -1).flatten(1, 2).numpy(), batch.targets.flatten(1).numpy()
    found = []
    for image, scores, true in zip(images, logits, targets, strict=True):
        costs = np.full(len(true), np.inf)
        for i, own in enumerate(true):
            for other in (j for j in range(len(weight)) if j != own):
                way, gap = weight[other] - weight[own], float(scores[i, own] - scores[i, other])
                costs[i] = min(costs[i], _step(norm, way[:, None, None], gap, image[i][:, None, None]))
        cheapest = np.sort(costs)[: int(np.ceil(share * len(true) - 1e-9))]
        if norm is Norm.L0:
            found.append(np.inf if np.isinf(cheapest[-1]) else len(cheapest) / len(true))
        else:
            order = {Norm.LINF: np.inf, Norm.L2: 2, Norm.L1: 1}[norm]
            found.append(float(np.linalg.norm(cheapest, order)))
    return np.array(found)


def examples(model: Model, count: int = 8, *, shape: tuple[int, int, int] = (3, 6, 6), seed: int = 0) -> Tensors:
    """Random 8-bit images with the model's own decisions as targets, so that every image is right."""
    drawn = torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(seed))
    images = drawn.float() / 255
    with torch.no_grad():
        found = decide(model(images), model.task)
    targets = found.float() if model.task == "multilabel" else found
    return Tensors([f"image-{i}" for i in range(count)], images, targets, [None] * count, PixelRange())


def budget_of(norm: Norm, size: float) -> Budget:
    """A budget of exactly this size (l0: share), whatever the number."""
    if norm is Norm.NONE:
        return Budget(norm, float("inf"), "unit", "none")
    return Budget(norm, size, "share" if norm is Norm.L0 else "unit", f"{norm}={size!r}")


def smallest_step(model: Model, batch: Tensors, norm: Norm) -> Array:
    """Smallest size that makes each decision wrong, ``[N]``; infinite where the box allows none; 0 under none.

    ``model`` is one of ``linear_model``; sizes as budgets count them (l0: share of pixels).
    """
    layer = model.network[1]  # type: ignore[index]
    weight = layer.weight.detach().double().numpy()
    images = batch.images.double().numpy()
    logits = images.reshape(len(images), -1) @ weight.T + layer.bias.detach().double().numpy()
    found = np.full(len(images), np.inf)
    for i, image in enumerate(images):
        for way, gap in _ways(model, weight, logits[i], batch.targets[i]):
            found[i] = min(found[i], _step(norm, way.reshape(image.shape), gap, image))
    return found


def _ways(model: Model, weight: Array, logits: Array, target: Tensor) -> list[tuple[Array, float]]:
    """Every way to be wrong: the direction on the pixels and how far the score must rise along it."""
    if model.task == "multilabel":
        signs = target.double().numpy() * 2 - 1
        return [(-s * w, float(s * z)) for s, w, z in zip(signs, weight, logits, strict=True)]
    true = int(target)
    if len(weight) == 1:
        sign = 2 * true - 1
        return [(-sign * weight[0], float(sign * logits[0]))]
    others = [j for j in range(len(weight)) if j != true]
    return [(weight[j] - weight[true], float(logits[true] - logits[j])) for j in others]


def _step(norm: Norm, way: Array, gap: float, image: Array) -> float:
    size, room = np.abs(way), np.where(way > 0, 1 - image, image)
    gain = size * room
    if gain.sum() < gap:
        return float("inf")
    if norm is Norm.NONE:
        return 0.0
    if norm is Norm.L0:
        pixels = np.sort(gain.sum(0).ravel())[::-1].cumsum()
        return float(np.searchsorted(pixels, gap) + 1) / pixels.size
    if norm is Norm.L1:
        return _greedy(size.ravel(), room.ravel(), gap)
    return _filled(norm, size.ravel(), room.ravel(), gap)


def _greedy(size: Array, room: Array, gap: float) -> float:
    spent = 0.0
    for i in np.argsort(-size):
        if size[i] * room[i] >= gap:
            return float(spent + gap / size[i])
        spent, gap = spent + room[i], gap - size[i] * room[i]
    return float("inf")


def _filled(norm: Norm, size: Array, room: Array, gap: float) -> float:
    """Raise a common level until the gap is closed: each value follows at its rate until its room ends."""
    rate = np.ones_like(size) if norm is Norm.LINF else size
    ends = room / np.maximum(rate, 1e-300)
    level = 0.0
    for i in range(len(size) + 1):
        order = np.argsort(ends)
        level = ends[order[i - 1]] if i else 0.0
        full = ends <= level
        slope, fixed = float((size * rate)[~full].sum()), float((size * room)[full].sum())
        needed = (gap - fixed) / slope if slope > 0 else level
        following = ends[order[i]] if i < len(size) else np.inf
        if needed <= following:
            level = needed
            break
    if norm is Norm.LINF:
        return float(level)
    return float(np.sqrt(np.minimum(level * rate, room) @ np.minimum(level * rate, room)))
