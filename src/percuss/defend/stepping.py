"""What decides a step: optimiser, learning rate and loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from percuss.core.dense import IGNORE
from percuss.core.images import DENSE
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
    """Cross-entropy of classes, of each label, or of the class of each judged pixel; weights ``[K]`` or None."""

    weights: Tensor | None

    def __init__(self, task: str, weights: Tensor | None) -> None:
        super().__init__()
        self.task = task
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss over the images; of class maps over their judged pixels, by the weights of their classes."""
        if self.task in DENSE:
            total, weight = self.summed(logits, targets)
            return total / weight.clamp_min(1e-12)
        if self.task == "classify":
            return nn.functional.cross_entropy(wide_logits(logits), targets, weight=self.weights)
        return nn.functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=self.weights)

    def summed(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Of class maps: the sum over judged pixels, and what they weigh together (their number without weights)."""
        truth = targets.long()
        total = nn.functional.cross_entropy(logits, truth, weight=self.weights, ignore_index=IGNORE, reduction="sum")
        judged = truth != IGNORE
        return total, judged.sum() if self.weights is None else self.weights[truth[judged]].sum()


def make_loss(model: Model, targets: Tensor, *, weighted: bool) -> ClassLoss:
    """The loss of the model's task. Weighted: classes weigh n / (K n_k); a label's presence weighs (n - n_k) / n_k.

    Of class maps n counts judged pixels, and a class that no training image shows weighs 1.
    """
    if not weighted:
        return ClassLoss(model.task, None)
    if model.task in DENSE:
        # Map by map: counting makes long integers of what it counts.
        pixels = sum(torch.bincount(truth.flatten(), minlength=IGNORE + 1) for truth in targets)
        shown = torch.as_tensor(pixels)[: len(model.classes)].float()
        weights = shown.sum() / (len(shown) * shown.clamp(min=1))
        return ClassLoss(model.task, torch.where(shown > 0, weights, torch.ones_like(weights)))
    if model.task == "classify":
        counts = torch.bincount(targets, minlength=len(model.classes)).float()
        return ClassLoss(model.task, len(targets) / (len(counts) * counts.clamp(min=1)))
    counts = targets.sum(0)
    return ClassLoss(model.task, ((len(targets) - counts) / counts.clamp(min=1)).clamp(min=1e-3))


def rate_factor(settings: TrainSettings, passed: float) -> float:
    """Share of the highest learning rate after ``passed`` epochs, 0 to 1."""
    warm = settings.rising
    factor = 1.0
    share = max(passed - warm, 0) / (settings.epochs - warm)
    if settings.schedule == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    elif settings.schedule == "step":
        factor = 0.01 if share > 0.85 else 0.1 if share > 0.6 else 1.0
    elif settings.schedule == "decades":
        # The last step of epoch 10 has 10 epochs behind it and still belongs to the first decade.
        factor = math.exp(-0.1 * (max(math.ceil(passed) - 1, 0) // 10 + 1))
    return factor * passed / warm if passed < warm else factor


def decay_factor(settings: TrainSettings, steps: int) -> float:
    """Share of the learning rate that Keras' decay leaves after so many steps, above 0 to 1."""
    return 1 / (1 + (settings.lr_decay or 0.0) * steps)
