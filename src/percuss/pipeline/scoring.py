"""Scores of a trained model on held-out images: accuracy, balanced accuracy, AUC; of maps Dice and IoU, AUC-PR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import recall_score, roc_auc_score
from torch import Tensor

from percuss.core.dense import BAR, confusion
from percuss.core.images import DENSE, Task, Tensors
from percuss.core.model import Model, decide, is_right, wide_logits
from percuss.defend.judging import confusions, scores
from percuss.evaluate import dense
from percuss.evaluate.heat_scores import number, ranked

#: Scores by task that are single values, in the order in which they are shown.
SCORES: dict[Task, tuple[str, ...]] = {
    "classify": ("accuracy", "balanced_accuracy", "auc"),
    "multilabel": ("accuracy", "balanced_accuracy", "auc"),
    "segment": ("accuracy", "quality", "dice", "iou", "pixel_accuracy", "floor"),
    "heatmap": ("auc_pr", "null", "accuracy", "quality", "dice", "iou", "pixel_accuracy", "floor"),
}


def scored(model: Model, part: Tensors, *, batch_size: int) -> dict[str, Any]:
    """The scores of a model on some images, by name (``score``, ``map_scores``, ``heat_scores``).

    ``batch_size`` counts for maps alone; logits of class maps are never held for more images at once.
    """
    if model.task == "heatmap":
        return heat_scores(scores(model, part.images, batch_size=batch_size), part.targets, model.classes)
    if model.task in DENSE:
        return map_scores(confusions(model, part, batch_size=batch_size), model.classes)
    return {**score(scores(model, part.images), part.targets, model.task)}


def map_scores(tables: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Scores of class maps from the tables int64 ``[N, K, K]`` of their images, each 0 to 1.

    Returns:
        ``accuracy``: share of images of a quality of at least 0.5; ``quality``: its mean over the images
        (``core.dense.quality``). Over the pixels of all images together: ``dice`` and ``iou``, means over the classes
        but background that are true or decided anywhere, ``pixel_accuracy``, its ``floor`` (background everywhere), and
        ``dice_of_class`` and ``iou_of_class``, by name with background. None where there is no value.
    """
    counts = tables.numpy()
    good, whole = dense.qualities(counts), dense.scores(counts.sum(0))
    return {
        "accuracy": float((good >= BAR).mean()),
        "quality": float(good.mean()),
        "dice": _known(whole.mean("dice")),
        "iou": _known(whole.mean("iou")),
        "pixel_accuracy": _known(whole.pixel_accuracy),
        "floor": _known(whole.floor),
        "dice_of_class": {name: _known(value) for name, value in zip(classes, whole.dice, strict=True)},
        "iou_of_class": {name: _known(value) for name, value in zip(classes, whole.iou, strict=True)},
    }


def heat_scores(logits: Tensor, truth: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Scores of heat maps: ``auc_pr``, ``null``, and those of their decisions at one half (``map_scores``).

    Args:
        logits: ``[N, 2, h, w]`` on the CPU.
        truth: uint8 ``[N, h, w]``.
        classes: names.

    Returns:
        ``auc_pr`` is the average precision of the judged cells of all images together, ``null`` the share of tumour
        among them, which a map without knowledge reaches; None where there are not cells of both kinds.
    """
    order = ranked((logits[:, 1] - logits[:, 0]).numpy(), truth.numpy())
    found = {"auc_pr": number(order.average_precision()), "null": number(order.prevalence())}
    return found | map_scores(confusion(decide(logits, "heatmap"), truth, len(classes)), classes)


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def score(logits: Tensor, targets: Tensor, task: Task) -> dict[str, float | None]:
    """Accuracy (multilabel: all labels right), mean recall over classes or labels, and AUC, each 0 to 1.

    Args:
        logits: ``[N, outputs]``.
        targets: ``[N]`` (classify) or 0/1 ``[N, K]`` (multilabel).
        task: ``classify`` or ``multilabel``.

    Returns:
        Scores by name. AUC is that of class 1 for two classes, else the mean of one against the rest; it and balanced
        accuracy are None where a class is absent (balanced) or where it cannot be ranked (AUC).
    """
    wide = wide_logits(logits) if task == "classify" else logits
    count = wide.shape[1]
    if task == "classify":
        truth = np.eye(count, dtype=bool)[targets.numpy()]
        guess = np.eye(count, dtype=bool)[decide(logits, task).numpy()]
        chances = wide.double().softmax(1).numpy()
    else:
        truth, guess = targets.numpy().astype(bool), decide(logits, task).numpy().astype(bool)
        chances = wide.double().sigmoid().numpy()
    right = is_right(logits, targets, task).double().mean()
    columns = [1] if task == "classify" and count == 2 else range(count)
    ranked = all(0 < truth[:, i].sum() < len(truth) for i in columns)
    return {
        "accuracy": float(right),
        "balanced_accuracy": float(np.mean([recall_score(truth[:, i], guess[:, i]) for i in range(count)]))
        if truth.any(0).all()
        else None,
        "auc": float(np.mean([roc_auc_score(truth[:, i], chances[:, i]) for i in columns])) if ranked else None,
    }
