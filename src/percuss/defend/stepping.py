"""What decides a step: optimiser, learning rate and loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from percuss.core.model import Model, wide_logits
from percuss.defend.settings import TrainSettings


def make_optimiser(weights: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser of the settings over the weights to train."""
    rate, decay = settings.rate, settings.weight_decay
    if settings.optimiser == "sgd":
        momentum = 0.9 if settings.momentum is None else settings.momentum
        return torch.optim.SGD(weights, lr=rate, weight_decay=decay, momentum=momentum, nesterov=momentum > 0)
    if settings.optimiser == "adadelta":
        return torch.optim.Adadelta(weights, lr=rate, weight_decay=decay)
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(weights, lr=rate, weight_decay=decay, eps=settings.epsilon or 1e-8)


class ClassLoss(nn.Module):
    """Cross-entropy of classes, or of each label; weights ``[K]`` or None."""

    weights: Tensor | None

    def __init__(self, task: str, weights: Tensor | None) -> None:
        super().__init__()
        self.task = task
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss over the images."""
        if self.task == "classify":
            return nn.functional.cross_entropy(wide_logits(logits), targets, weight=self.weights)
        return nn.functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=self.weights)


def make_loss(model: Model, targets: Tensor, *, weighted: bool) -> nn.Module:
    """The loss of the model's task. Weighted: classes weigh n / (K n_k); a label's presence weighs (n - n_k) / n_k."""
    if not weighted:
        return ClassLoss(model.task, None)
    if model.task == "classify":
        counts = torch.bincount(targets, minlength=len(model.classes)).float()
        return ClassLoss(model.task, len(targets) / (len(counts) * counts.clamp(min=1)))
    counts = targets.sum(0)
    return ClassLoss(model.task, ((len(targets) - counts) / counts.clamp(min=1)).clamp(min=1e-3))


def rate_factor(settings: TrainSettings, passed: float) -> float:
    """Share of the highest learning rate after ``passed`` epochs, 0 to 1."""
    warm = min(settings.warmup, settings.epochs / 2)
    factor = 1.0
    share = max(passed - warm, 0) / (settings.epochs - warm)
    if settings.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    elif settings.schedule == "step":
        factor = 0.01 if share > 0.85 else 0.1 if share > 0.6 else 1.0
    return factor * passed / warm if passed < warm else factor


def decay_factor(settings: TrainSettings, steps: int) -> float:
    """Share of the learning rate that Keras' decay leaves after so many steps, above 0 to 1."""
    return 1 / (1 + (settings.lr_decay or 0.0) * steps)
