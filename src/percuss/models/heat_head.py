"""The classifier of Strauss and Kenyon: from the code of an image to one logit for each cell of its heat map."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from percuss.core.errors import ModelError
from percuss.models.sparse_convolution import convolved, convolved_values

#: Parameters on the two codes of the paper, of 9 and of 512 channels.
PARAMETERS = {9: 11_143, 512: 300_871}


class SameConvolution(nn.Conv2d):
    """A convolution of stride 1 that keeps height and width, begun as in Keras: Glorot's uniform weights, biases of 0.

    An even kernel has the smaller half of its border above and to the left, as in TensorFlow.

    Args:
        inputs, outputs: channels.
        side: of the kernel.
    """

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(cast("Tensor", self.bias))

    @property
    def margins(self) -> tuple[int, int]:
        """Zeros above (and left) and below (and right)."""
        side = self.kernel_size[0]
        return (side - 1) // 2, side // 2

    def forward(self, maps: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` to ``[N, outputs, H, W]``."""
        before, after = self.margins
        return super().forward(functional.pad(maps, (before, after, before, after)))


class HeatHead(nn.Module):
    """36 kernels of 4 x 4, dropout 0.5, 18 of 3 x 3, ReLU after both, a mean over 2 x 2, one kernel of 2 x 2: logits.

    The paper's code has a place for every 2 x 2 pixels and its cells are 4 x 4 pixels, hence the mean. Where
    the code's places are as large as the cells the mean is left out; where they are larger the code is repeated first.
    The paper's sigmoid is left to the loss.

    Args:
        inputs: channels of the code.
        stride: pixels between places of the code.
        cell: side of a cell in pixels.

    Raises:
        ModelError: neither of ``stride`` and ``cell`` is a multiple of the other.
    """

    def __init__(self, inputs: int, *, stride: int, cell: int) -> None:
        super().__init__()
        if stride < 1 or cell < 1 or max(stride, cell) % min(stride, cell):
            raise ModelError(
                "the cells of a heat map do not fit the places of its code",
                value=f"cells of {cell} px, places of {stride} px",
                allowed="one a multiple of the other",
                next_step="give another cell= or stride=",
            )
        self.repeat, self.pool = max(1, stride // cell), max(1, cell // stride)
        self.first = SameConvolution(inputs, 36, 4)
        self.dropout = nn.Dropout(0.5)
        self.second = SameConvolution(36, 18, 3)
        self.last = SameConvolution(18, 1, 2)

    def forward(self, code: Tensor) -> Tensor:
        """A code ``[N, inputs, h, w]`` to logits ``[N, 1, h * stride / cell, w * stride / cell]``.

        On a processor the first convolution of a code that is sparse and takes no gradient is made from its active
        coefficients alone (``percuss.models.sparse_convolution``): the same up to rounding, and several times as fast.
        """
        return self._rest(self._first(code))

    def on_values(self, active: Tensor) -> Callable[[Tensor], Tensor] | None:
        """``forward`` of codes that are 0 but for some coefficients, as a function of their values alone.

        Args:
            active: which coefficients, bool ``[inputs, h, w]``.

        Returns:
            Values ``[k]``, in the order of ``active.nonzero()``, to logits ``[1, 1, ...]``; differentiable in the
            values, no gradient goes into the first convolution's weights. None where that is no faster.
        """
        first = convolved_values(active, self.first.weight, repeat=self.repeat)
        if first is None:
            return None
        maps, bias = first, cast("Tensor", self.first.bias).detach()[:, None, None]
        return lambda values: self._rest(maps(values) + bias)

    def _rest(self, first: Tensor) -> Tensor:
        maps = self.dropout(torch.relu(first))
        maps = torch.relu(self.second(maps))
        logits: Tensor = self.last(functional.avg_pool2d(maps, self.pool) if self.pool > 1 else maps)
        return logits

    def _first(self, code: Tensor) -> Tensor:
        quick = convolved(code, self.first.weight, cast("Tensor", self.first.bias), repeat=self.repeat)
        if quick is not None:
            return quick
        if self.repeat > 1:
            code = functional.interpolate(code, scale_factor=self.repeat, mode="nearest")
        maps: Tensor = self.first(code)
        return maps

    def extra_repr(self) -> str:
        """What has no weights, so that it is part of a model's fingerprint."""
        return f"repeat={self.repeat}, pool={self.pool}"
