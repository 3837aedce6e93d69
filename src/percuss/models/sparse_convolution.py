"""The first convolution on a sparse code, from its active coefficients alone: products of sparse matrices."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

#: Share of active coefficients up to which this is used; at 1 % it was several times as fast as the dense convolution.
MOST = 0.05


@dataclass(frozen=True)
class Active:
    """The active coefficients of one code ``[M, h, w]``, by channel: channel, place (row * w + column) and value."""

    channel: Tensor
    place: Tensor
    value: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, code: Tensor) -> Active:
        """Those of a code ``[M, h, w]``."""
        channels, height, width = code.shape
        flat = code.detach().reshape(-1).nonzero()[:, 0]
        return cls(flat // (height * width), flat % (height * width), code.reshape(-1)[flat], (channels, height, width))

    def repeated(self, times: int) -> Active:
        """Those of the code whose places are repeated so many times along both sides."""
        channels, height, width = self.shape
        step = torch.arange(times, device=self.place.device)
        rows = (self.place // width * times)[:, None, None] + step[:, None]
        columns = (self.place % width * times)[:, None, None] + step
        spread = (rows * (width * times) + columns).flatten(1)
        count = times * times
        channel, value = self.channel.repeat_interleave(count), self.value.repeat_interleave(count)
        return Active(channel, spread.flatten(), value, (channels, height * times, width * times))

    def by_place(self) -> Tensor:
        """The sparse matrix ``[h * w, M]``."""
        order = self.place.argsort(stable=True)
        size = (self.shape[1] * self.shape[2], self.shape[0])
        return _matrix(self.place, self.channel[order], self.value[order], size)

    def by_channel(self) -> Tensor:
        """The sparse matrix ``[M, h * w]``."""
        order = (self.channel * (self.shape[1] * self.shape[2]) + self.place).argsort()
        size = (self.shape[0], self.shape[1] * self.shape[2])
        return _matrix(self.channel, self.place[order], self.value[order], size)


def _matrix(row: Tensor, column: Tensor, value: Tensor, size: tuple[int, int]) -> Tensor:
    starts = functional.pad(torch.bincount(row, minlength=size[0]).cumsum(0), (1, 0))
    with warnings.catch_warnings():
        # torch says of every sparse matrix in this form that its support is young.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(starts, column, value, size, check_invariants=False)


def convolved(code: Tensor, weight: Tensor, bias: Tensor, *, repeat: int = 1) -> Tensor | None:
    """What ``SameConvolution`` gives on a code that takes no gradient; None where the dense convolution serves better.

    Differentiable in weight and bias.

    Args:
        code: ``[N, M, h, w]``.
        weight, bias: ``[O, M, K, K]`` and ``[O]``.
        repeat: places are repeated so many times along both sides before.

    Returns:
        ``[N, O, h * repeat, w * repeat]``; None for codes that take a gradient, lie elsewhere than on a processor,
        are wanted in half precision, or of which more than 5 % are active.
    """
    if code.device.type != "cpu" or torch.is_autocast_enabled("cpu") or code.dtype != weight.dtype or not code.numel():
        return None
    if torch.is_grad_enabled() and code.requires_grad:
        return None
    found = []
    for one in code:
        if int(torch.count_nonzero(one)) > MOST * one.numel():
            return None
        active = Active.of(one)
        maps: Tensor = _Convolved.apply(weight, active.repeated(repeat) if repeat > 1 else active)
        found.append(maps)
    return torch.stack(found) + bias[:, None, None]


def convolved_values(active: Tensor, weight: Tensor, *, repeat: int = 1) -> Callable[[Tensor], Tensor] | None:
    """``convolved`` as a function of the values of some coefficients alone, all others being 0; without the bias.

    What does not change is prepared once, so that many steps on the values of one code cost little each.

    Args:
        active: which coefficients, bool ``[M, h, w]``.
        weight: ``[O, M, K, K]``; takes no gradient.
        repeat: as for ``convolved``.

    Returns:
        A differentiable function of values ``[k]``, in the order of ``active.nonzero()``, that gives
        ``[1, O, h * repeat, w * repeat]``; None where the dense convolution serves better.
    """
    if active.device.type != "cpu" or not active.numel() or int(active.sum()) > MOST * active.numel():
        return None
    places = Active.of(active).repeated(repeat)
    layout = _Layout(places, places.place.argsort(stable=True), weight.detach().permute(2, 3, 1, 0).contiguous())

    def maps(values: Tensor) -> Tensor:
        found: Tensor = _FromValues.apply(values.repeat_interleave(repeat * repeat), layout)
        return found.unsqueeze(0)

    return maps


@dataclass(frozen=True)
class _Layout:
    """Coefficients, their order by place, and weights ``[K, K, M, O]``."""

    active: Active
    order: Tensor
    weight: Tensor


class _FromValues(torch.autograd.Function):
    """``_Convolved`` as a function of the values at the places of a layout."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, layout: _Layout) -> Tensor:
        active, order, weight = layout.active, layout.order, layout.weight
        size = (active.shape[1] * active.shape[2], active.shape[0])
        matrix = _matrix(active.place, active.channel[order], value.detach()[order], size)
        ctx.layout, ctx.active, ctx.side = layout, active, weight.shape[0]
        return _spread(matrix, weight, active.shape, ctx)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        active, weight, side = ctx.layout.active, ctx.layout.weight, ctx.side
        above, below = side // 2, (side - 1) // 2
        canvas = functional.pad(gradient, (above, below, above, below)).permute(1, 2, 0).contiguous()
        found = gradient.new_zeros(len(active.place))
        for row in range(side):
            for column in range(side):
                window = _window(canvas, row, column, ctx).reshape(active.shape[1] * active.shape[2], -1)
                slopes = weight[row, column].index_select(0, active.channel)
                found += (window.index_select(0, active.place) * slopes).sum(1)
        return found, None


def _spread(matrix: Tensor, weight: Tensor, shape: tuple[int, int, int], ctx: Any) -> Tensor:
    """Maps ``[O, h, w]`` of the sparse matrix ``[h * w, M]`` and weights ``[K, K, M, O]``."""
    (_, height, width), side, outputs = shape, weight.shape[0], weight.shape[3]
    canvas = weight.new_zeros(height + side - 1, width + side - 1, outputs)
    for row in range(side):
        for column in range(side):
            part = torch.sparse.mm(matrix, weight[row, column])
            _window(canvas, row, column, ctx).add_(part.view(height, width, outputs))
    above = side // 2
    return canvas[above : above + height, above : above + width].permute(2, 0, 1).contiguous()


class _Convolved(torch.autograd.Function):
    """One image's maps ``[O, h, w]``: for each place of the kernel a product of matrices, moved there and added."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, active: Active) -> Tensor:
        ctx.active, ctx.side = active, weight.shape[2]
        return _spread(active.by_place(), weight.permute(2, 3, 1, 0).contiguous(), active.shape, ctx)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        side, (_, height, width) = ctx.side, ctx.active.shape
        above, below = side // 2, (side - 1) // 2
        canvas = functional.pad(gradient, (above, below, above, below)).permute(1, 2, 0).contiguous()
        matrix = ctx.active.by_channel()
        rows = [
            torch.stack(
                [
                    torch.sparse.mm(matrix, _window(canvas, row, column, ctx).reshape(height * width, -1))
                    for column in range(side)
                ]
            )
            for row in range(side)
        ]
        # [K, K, M, O] to [O, M, K, K].
        return torch.stack(rows).permute(3, 2, 0, 1).contiguous(), None


def _window(canvas: Tensor, row: int, column: int, ctx: Any) -> Tensor:
    """Where one place of the kernel carries each place of the code."""
    _, height, width = ctx.active.shape
    top, left = ctx.side - 1 - row, ctx.side - 1 - column
    return canvas[top : top + height, left : left + width]
