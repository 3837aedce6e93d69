"""One output of a model of several labels, as a model of two classes with one logit."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.model import Model


def one_label(model: Model, place: int, label: str) -> Model:
    """A model that answers for one label only: its logit, above 0 for yes.

    Args:
        model: of several labels; normalisation and shapes stay its own.
        place: number of the label's output.
        label: its name.

    Raises:
        ModelError: a model without several labels, or without that output.
    """
    if model.task != "multilabel":
        raise ModelError("only one of several labels can be chosen", value=f"the model has {', '.join(model.classes)}")
    if not 0 <= place < len(model.classes):
        raise ModelError("no such output", value=place, allowed=f"0 to {len(model.classes) - 1}")
    info = replace(model.info, task="classify", classes=(f"no {label}", label), mean=(0.0,), std=(1.0,))
    return Model(_Output(model, place), info)


class _Output(nn.Module):
    def __init__(self, whole: Model, place: int) -> None:
        super().__init__()
        self.whole, self.place = whole, place

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.whole(images)
        return logits[:, self.place : self.place + 1]
