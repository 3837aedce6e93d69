"""A faster layout of the model for an attack: channels last, the same weights, put back afterwards.

Search and verdict use the same layout, so that they agree to the last bit. On a CPU convolutions and their gradients
run about a tenth faster with channels last (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

#: Networks that are mostly made of wider convolutions than this many weights gain; tiny ones lose by the copying.
_WORTH = 100_000


@contextmanager
def search_layout(model: nn.Module) -> Iterator[None]:
    """Within it four-dimensional weights lie channels last; convolutions follow their weights.

    Weights keep their values and shapes; each is put back into its old layout on the way out, also after an error.
    Models without large convolutions pass through unchanged.
    """
    weights = [weight for weight in model.parameters() if weight.dim() == 4 and weight.is_contiguous()]
    if sum(weight.numel() for weight in weights) < _WORTH:
        yield
        return
    try:
        for weight in weights:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        yield
    finally:
        for weight in weights:
            weight.data = weight.data.contiguous()
