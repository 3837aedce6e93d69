"""Decisions for every pixel: when a whole image counts as right, and what an attack climbs.

Predictions and truths are class maps ``[N, H, W]``, whole numbers; ``IGNORE`` marks pixels that nobody judges. Class 0
is the background. Logits are ``[N, classes, H, W]``.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Value of pixels without a judgement.
IGNORE = 255
#: An image counts as right while its quality is at least this.
BAR = 0.5
#: A map that an attack wants is reached when this share of the judged pixels shows it.
REACHED = 0.99


def confusion(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Pixels of each image by true class and predicted class, int64 ``[N, classes, classes]``."""
    count = len(truth)
    first = torch.arange(count, device=truth.device).view(-1, 1) * classes * classes
    code = (truth.long() * classes + prediction.long()).flatten(1) + first
    judged = (truth != IGNORE).flatten(1)
    counts = torch.bincount(code[judged], minlength=count * classes * classes)
    return counts.view(count, classes, classes)


def quality(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """How good each image's prediction is, float64 ``[N]`` from 0 to 1.

    The Dice coefficient of each class but the background, averaged over the classes that the truth holds. Where it
    holds none: the share of judged pixels that are predicted as background. Where no pixel is judged: 1.
    """
    return table_quality(confusion(prediction, truth, classes))


def table_quality(table: Tensor) -> Tensor:
    """``quality`` from the confusion table ``[N, classes, classes]`` of each image, float64 ``[N]``."""
    table = table.double()
    own, true, said = table.diagonal(dim1=1, dim2=2), table.sum(2), table.sum(1)
    dice = 2 * own / (true + said).clamp_min(1)
    here = true[:, 1:] > 0
    mean = (dice[:, 1:] * here).sum(1) / here.sum(1).clamp_min(1)
    judged = true.sum(1)
    empty = torch.where(judged > 0, own[:, 0] / judged.clamp_min(1), torch.ones_like(judged))
    return torch.where(here.any(1), mean, empty)


def agreement(prediction: Tensor, wanted: Tensor) -> Tensor:
    """Share of the judged pixels that show the wanted map, float64 ``[N]``; 1 where none is judged."""
    judged = (wanted != IGNORE).flatten(1)
    same = (prediction.long() == wanted.long()).flatten(1) & judged
    total = judged.sum(1).double()
    return torch.where(total > 0, same.sum(1) / total.clamp_min(1), torch.ones_like(total))


def direction(logits: Tensor, truth: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """The gradient on the logits of the summed cross-entropy against a map, each image in its own scale.

    ``softmax - one hot`` at every pixel, over the largest such value of the image: the same direction, but it never
    underflows, however sure the model is everywhere. ``weight`` ``[N, H, W]`` weighs the pixels (0 or more).
    Computed in float64; pixels without a judgement get 0.
    """
    values = logits.detach().double()
    own, judged = one_hot(truth, values.shape[1])
    others = values.masked_fill(own, -torch.inf)
    wrong = others.logsumexp(1) - values.logsumexp(1)  # log(1 - p of the map's class), exact for a sure model
    scale = wrong if weight is None else wrong + weight.double().clamp_min(0).log()
    scale = scale.masked_fill(~judged, -torch.inf)
    top = scale.flatten(1).amax(1).view(-1, 1, 1)
    share = (scale - torch.where(top.isfinite(), top, torch.zeros_like(top))).exp()
    return ((others.softmax(1) - own.to(values)) * share.unsqueeze(1)).to(logits.dtype)


def cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of each image, the mean over its judged pixels, float64 ``[N]``; differentiable."""
    each = torch.nn.functional.cross_entropy(logits.double(), truth.long(), ignore_index=IGNORE, reduction="none")
    return each.flatten(1).sum(1) / (truth != IGNORE).flatten(1).sum(1).clamp_min(1)


def confidence(logits: Tensor) -> Tensor:
    """Probability of the decision made, the mean over all pixels, float32 ``[N]``."""
    return logits.double().softmax(1).amax(1).flatten(1).mean(1).float()


def text(prediction: Tensor) -> str:
    """The classes of one map ``[H, W]`` in rising order, for tables: ``0|2|3``."""
    return "|".join(str(value) for value in sorted(set(prediction.flatten().tolist())) if value != IGNORE)


def everywhere(truth: Tensor, wanted: int) -> Tensor:
    """The map that shows one class at every judged pixel of a truth."""
    return torch.where(truth == IGNORE, truth, torch.full_like(truth, wanted))


def one_hot(truth: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Where a logit is that of the map's class, bool ``[N, classes, H, W]``, and which pixels are judged.

    Pixels without a judgement are given to class 0 in the first; the second, bool ``[N, H, W]``, tells them.
    """
    judged = truth != IGNORE
    hot = torch.nn.functional.one_hot(truth.long().masked_fill(~judged, 0), classes)
    return hot.movedim(-1, 1).bool(), judged


def standing(logits: Tensor, truth: Tensor) -> Tensor:
    """How far the cells of class 1 stand out of a heat map, float64 ``[N]``: their mean score less that of the others.

    Scores are logits of class 1 less those of class 0 ``[N, 2, H, W]``. NaN where the judged cells are of one kind.
    """
    scores = (logits[:, 1] - logits[:, 0]).double()
    means = [
        (scores * there).flatten(1).sum(1) / there.flatten(1).sum(1)  # 0 over 0 is NaN
        for there in (truth == 1, truth == 0)
    ]
    return means[0] - means[1]
