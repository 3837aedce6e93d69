"""A faster layout of the model for the search: channels last, the same numbers, put back afterwards.

Only the search uses it; verdicts are measured on the model as given. On a CPU convolutions and their gradients
run about a tenth faster with channels last (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

#: Networks that are mostly made of wider convolutions than this many weights gain; tiny ones lose by the copying.
_WORTH = 100_000


@contextmanager
def search_layout(model: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """Within it four-dimensional weights lie channels last; yields the images ``[N, C, H, W]`` in the same layout.

    Weights keep their values and shapes; each is put back into its old layout on the way out, also after an error.
    Models without large convolutions pass through unchanged.
    """
    weights = [weight for weight in model.parameters() if weight.dim() == 4 and weight.is_contiguous()]
    if sum(weight.numel() for weight in weights) < _WORTH:
        yield images
        return
    try:
        for weight in weights:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        yield images.contiguous(memory_format=torch.channels_last)
    finally:
        for weight in weights:
            weight.data = weight.data.contiguous()
