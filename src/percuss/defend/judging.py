"""How good a model is on the validation images: loss, share of right images and, for class maps, their Dice."""

from __future__ import annotations

import torch
from torch import Tensor

from percuss.core import dense
from percuss.core.images import DENSE, Tensors
from percuss.core.model import Model, decide, is_right
from percuss.defend.heat_judging import area
from percuss.defend.stepping import ClassLoss


@torch.no_grad()
def scores(model: Model, images: Tensor, *, batch_size: int = 64) -> Tensor:
    """Logits of the model for all images, float32 on the CPU; the model is left in eval mode."""
    model.eval()
    device = next(model.parameters()).device
    return torch.cat([model(part.to(device)).float().cpu() for part in torch.split(images, batch_size)])


@torch.no_grad()
def confusions(model: Model, part: Tensors, *, batch_size: int = 16) -> Tensor:
    """Pixels of each image by true and decided class, int64 ``[N, K, K]`` on the CPU; the model is left in eval mode.

    Logits of a segmenter are large, so those of one batch at a time are held.
    """
    model.eval()
    device = next(model.parameters()).device
    found = [
        dense.confusion(decide(model(images.to(device)), "segment"), truth.to(device), len(model.classes)).cpu()
        for images, truth in zip(
            torch.split(part.images, batch_size), torch.split(part.targets, batch_size), strict=True
        )
    ]
    return torch.cat(found)


def judged(model: Model, loss: ClassLoss, part: Tensors, *, batch_size: int) -> dict[str, float]:
    """``val_loss`` and ``val_accuracy``; of class maps ``val_dice`` too, the mean over images of their quality.

    Of heat maps ``val_auc_pr`` too, where there are cells of both kinds.

    The loss of class maps is the mean over all judged pixels, as if the images were one batch.
    """
    if model.task in DENSE:
        return _maps_judged(model, loss, part, batch_size=batch_size)
    device = next(model.parameters()).device
    logits = scores(model, part.images, batch_size=batch_size)
    found = float(loss(logits.to(device), part.targets.to(device)))
    return {"val_loss": found, "val_accuracy": float(is_right(logits, part.targets, model.task).double().mean())}


@torch.no_grad()
def _maps_judged(model: Model, loss: ClassLoss, part: Tensors, *, batch_size: int) -> dict[str, float]:
    model.eval()
    device = next(model.parameters()).device
    total, weight, good, maps = 0.0, 0.0, [], []
    for images, truth in zip(torch.split(part.images, batch_size), torch.split(part.targets, batch_size), strict=True):
        logits, there = model(images.to(device)).float(), truth.to(device)
        summed, counted = loss.summed(logits, there)
        total, weight = total + float(summed), weight + float(counted)
        good.append(dense.quality(decide(logits, "segment"), there, logits.shape[1]).cpu())
        maps += [logits.cpu()] if model.task == "heatmap" else []
    each = torch.cat(good)
    found = area(torch.cat(maps), part.targets) if maps else None
    return ({} if found is None else {"val_auc_pr": found}) | {
        "val_loss": total / max(weight, 1e-12),
        "val_accuracy": float((each >= dense.BAR).double().mean()),
        "val_dice": float(each.mean()),
    }
