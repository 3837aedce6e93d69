"""Where the atoms of a sparse code lie in an image: stride, border, and the two passes between image and code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from percuss.core.errors import UsageError

Border = Literal["mirror", "none"]
BORDERS: tuple[str, ...] = get_args(Border)


@dataclass(frozen=True)
class Geometry:
    """Atoms of ``kernel`` x ``kernel`` pixels at every ``stride``-th pixel.

    ``mirror``: the image is mirrored by ``kernel - stride`` pixels in all (the smaller half above and to the left), so
    that the code has exactly H / stride x W / stride places and every atom lies whole on this canvas. ``none``: the
    canvas is the image itself, with (H - kernel) / stride + 1 places.

    Raises:
        UsageError: stride outside 1 to ``kernel`` (pixels between atoms would be in no atom), or an unknown border.
    """

    kernel: int
    stride: int
    border: Border

    def __post_init__(self) -> None:
        """Checks both."""
        if isinstance(self.stride, bool) or not isinstance(self.stride, int) or not 1 <= self.stride <= self.kernel:
            raise UsageError("the stride of a sparse code", value=self.stride, allowed=f"1 to {self.kernel}, whole")
        if self.border not in BORDERS:
            raise UsageError("unknown border of a sparse code", value=self.border, allowed=", ".join(BORDERS))

    @property
    def margins(self) -> tuple[int, int]:
        """Pixels added above (and left) and below (and right)."""
        total = self.kernel - self.stride if self.border == "mirror" else 0
        return total // 2, total - total // 2

    def places(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the code of an image; UsageError for sides that do not come out even."""
        for side in (height, width):
            over = side % self.stride if self.border == "mirror" else (side - self.kernel) % self.stride
            if over or (self.border == "none" and side < self.kernel):
                raise UsageError(
                    f"sides do not fit atoms of {self.kernel} px at stride {self.stride}, border {self.border}",
                    value=f"{height} x {width}",
                    allowed=f"multiples of {self.stride}"
                    if self.border == "mirror"
                    else f"{self.kernel} plus a multiple of {self.stride}",
                    next_step="crop or pad the images",
                )
        if self.margins[1] >= min(height, width):
            raise UsageError(
                f"images too small to be mirrored by {self.margins[1]} px",
                value=f"{height} x {width}",
                allowed=f"sides above {self.margins[1]}",
                next_step="take larger images, smaller atoms, or border='none'",
            )
        added = sum(self.margins)
        return (height + added - self.kernel) // self.stride + 1, (width + added - self.kernel) // self.stride + 1

    def canvas(self, images: Tensor) -> Tensor:
        """Images ``[N, C, H, W]`` with their mirrored border."""
        before, after = self.margins
        return functional.pad(images, (before, after, before, after), mode="reflect") if after else images

    def crop(self, canvas: Tensor) -> Tensor:
        """What of a canvas ``[N, C, H, W]`` is image."""
        before, after = self.margins
        return canvas[..., before : canvas.shape[-2] - after, before : canvas.shape[-1] - after]


def correlate(canvas: Tensor, dictionary: Tensor, stride: int) -> Tensor:
    """Each atom's inner product with the canvas at each place: ``[N, C, H, W]`` to ``[N, M, h, w]``."""
    return functional.conv2d(canvas, dictionary, stride=stride)


def synthesis_kernel(dictionary: Tensor, stride: int) -> Tensor:
    """The atoms as the kernel of a plain convolution with C x stride^2 outputs, for ``synthesise``.

    A transposed convolution with few outputs is slow on processors; the same sums as a convolution at the code's own
    resolution, spread by a pixel shuffle, are several times faster. Differentiable.
    """
    atoms, channels, side = dictionary.shape[:3]
    reach = -(-side // stride)
    whole = functional.pad(dictionary, (0, reach * stride - side, 0, reach * stride - side))
    parts = whole.reshape(atoms, channels, reach, stride, reach, stride).permute(1, 3, 5, 0, 2, 4).flip(-1, -2)
    return parts.reshape(channels * stride**2, atoms, reach, reach).contiguous()


def synthesise(code: Tensor, kernel: Tensor, *, stride: int, side: int) -> Tensor:
    """The canvas that a code stands for: ``[N, M, h, w]`` to ``[N, C, H, W]``; ``kernel`` is ``synthesis_kernel``'s."""
    height, width = ((count - 1) * stride + side for count in code.shape[-2:])
    found = functional.pixel_shuffle(functional.conv2d(code, kernel, padding=kernel.shape[-1] - 1), stride)
    return found[..., :height, :width]


def unit_norm(dictionary: Tensor) -> Tensor:
    """The atoms ``[M, C, K, K]`` divided by their lengths; UsageError for an atom of zeros."""
    lengths = torch.linalg.vector_norm(dictionary.flatten(1), dim=1)
    if not bool((lengths > 0).all()):
        place = int((~(lengths > 0)).nonzero()[0])
        raise UsageError("an atom cannot be brought to length 1", value=f"atom {place}, length {lengths[place]:.3g}")
    units: Tensor = dictionary / lengths.view(-1, 1, 1, 1)
    return units
