"""Looks at a model before it is attacked: what would make every later number meaningless."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.attacks.eval_mode import device_of, frozen
from percuss.attacks.target import Batch, Goal, Target, no_gradient
from percuss.core.errors import ModelError
from percuss.core.model import Model, decide
from percuss.core.outcome import Finding


def check_model(model: Model, images: Tensor, targets: Tensor) -> list[Finding]:
    """Check shape, finite logits, gradient and repeatability on some images ``[N, C, H, W]``.

    Raises:
        ModelError: logits of the wrong shape, NaN or infinite; no gradient reaches the input.

    Returns:
        The finding ``nondeterministic-forward`` where two passes differ, and ``zero-gradients`` where more
        than one in a hundred images gets no gradient.
    """
    if not len(images):
        return []
    device = device_of(model)
    batch = Batch(images.to(device), targets.to(device))
    rows = torch.arange(len(images), device=device)
    with frozen(model):
        target = Target(model, batch, Goal(), pixels=None)
        first, second = target.logits(batch.images, rows), target.logits(batch.images, rows)
        _, gradient = target.gradient(batch.images, rows)
    if len(torch.as_tensor(targets)) != len(images):
        raise ModelError("images and targets differ in number", value=f"{len(images)} and {len(targets)}")
    silent = ~(gradient != 0).flatten(1).any(1)
    if bool(silent.all()):
        raise no_gradient()
    return [*_repeats(model, first, second), *_silence(silent)]


def _repeats(model: Model, first: Tensor, second: Tensor) -> list[Finding]:
    scale = float(first.abs().max().clamp_min(1e-12))
    gap = float((first - second).abs().max()) / scale
    if gap <= 1e-5:
        return []
    changed = int((decide(first, model.task) != decide(second, model.task)).reshape(len(first), -1).any(1).sum())
    return [
        Finding(
            "nondeterministic-forward",
            "severe",
            f"The model gives other logits when asked again about the same images (relative difference {gap:.2g}; "
            f"{changed} of {len(first)} decisions change). Flips found here may be chance.",
            {"relative_difference": gap, "decisions_changed": changed, "images": len(first)},
        )
    ]


def _silence(silent: Tensor) -> list[Finding]:
    share = float(silent.double().mean())
    if share <= 0.01:
        return []
    return [
        Finding(
            "zero-gradients",
            "warning",
            f"{int(silent.sum())} of {len(silent)} images get no gradient at all: attacks cannot follow it there, "
            "so these images may look more robust than they are.",
            {"images_without_gradient": int(silent.sum()), "images": len(silent)},
        )
    ]
