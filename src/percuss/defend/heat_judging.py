"""What a training asks of heat maps: the area under the precision-recall curve of all validation cells together."""

from __future__ import annotations

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from percuss.core.dense import IGNORE
from percuss.core.errors import UsageError
from percuss.core.images import Tensors


def area(logits: Tensor, truth: Tensor) -> float | None:
    """Average precision of the judged cells of all tiles; None where they are not of both kinds.

    The sum over thresholds of the step of recall times precision, equal scores together, as ``percuss audit`` has it.

    Args:
        logits: ``[N, 2, h, w]``; the score of a cell is the second less the first.
        truth: uint8 ``[N, h, w]``: 0 normal, 1 tumour, 255 not judged.
    """
    judged = (truth != IGNORE).cpu()
    scores, tumour = (logits[:, 1] - logits[:, 0]).cpu()[judged], truth.cpu()[judged] == 1
    if not bool(torch.isfinite(scores).all()) or not bool(tumour.any()) or bool(tumour.all()):
        return None
    return float(average_precision_score(tumour.numpy(), scores.double().numpy()))


def check_choice(val: Tensors) -> None:
    """UsageError where AUC-PR under attack cannot choose the best epoch, since the cells are all of one kind."""
    judged = val.targets != IGNORE
    tumour = (val.targets == 1) & judged
    if bool(tumour.any()) and bool((judged & ~tumour).any()):
        return
    raise UsageError(
        "the validation tiles hold cells of one kind alone, so AUC-PR under attack cannot choose the best epoch",
        value=f"{int(tumour.sum())} tumour cells of {int(judged.sum())} judged",
        allowed="tumour cells and normal ones",
        next_step="name other slides for val behind the data spec, or give --choose loss",
    )
