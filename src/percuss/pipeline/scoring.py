"""Scores of a trained model on held-out images: accuracy, balanced accuracy, AUC."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import recall_score, roc_auc_score
from torch import Tensor

from percuss.core.images import Task
from percuss.core.model import decide, is_right, wide_logits

SCORES = ("accuracy", "balanced_accuracy", "auc")


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
