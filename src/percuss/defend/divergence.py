"""How far two answers of a model to the same image are apart: the Kullback-Leibler divergence, and its slope."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from percuss.core.images import DENSE, Task
from percuss.core.model import wide_logits
from percuss.defend.climbing import Slope


def divergence(first: Tensor, second: Tensor, task: Task) -> Tensor:
    """KL(first || second) of the probabilities behind logits ``[N, outputs]``, per image ``[N]``.

    Several labels: the mean over the labels, as their cross-entropy is. Class maps: the mean over all pixels, judged or
    not, since no truth is asked.
    """
    if task != "multilabel":
        ours, theirs = wide_logits(first).log_softmax(1), wide_logits(second).log_softmax(1)
        apart = (ours.exp() * (ours - theirs)).sum(1)
        return apart.flatten(1).mean(1) if task in DENSE else apart
    present = first.sigmoid() * (logsigmoid(first) - logsigmoid(second))
    absent = (-first).sigmoid() * (logsigmoid(-first) - logsigmoid(-second))
    return (present + absent).mean(1)


def apart_slope(first: Tensor, task: Task) -> Slope:
    """Direction on the logits in which they leave ``first``: second minus first probability, in float64."""
    if task in DENSE or (task == "classify" and first.shape[1] > 1):
        ours = first.double().softmax(1)
        return lambda logits: (logits.double().softmax(1) - ours).to(logits.dtype)
    ours = first.double().sigmoid()
    return lambda logits: (logits.double().sigmoid() - ours).to(logits.dtype)
