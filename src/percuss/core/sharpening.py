"""X-rays as Wasserman's study has them: stretched to the whole range, then sharpened by a wide blur around mid-grey."""

from __future__ import annotations

import torch
from torch import Tensor

#: Mid-grey, 128 of 255.
MIDDLE = 128 / 255
#: Width of the blur in pixels, and how far its kernel reaches: 121 taps, what OpenCV takes for 8-bit images.
SIGMA, REACH = 20.0, 3.0


def sharpen(images: Tensor, *, sigma: float = SIGMA, reach: float = REACH) -> Tensor:
    """``4 x - 4 blur(x) + 128`` in 8-bit units, clipped; differentiable wherever it does not clip.

    Args:
        images: ``[..., H, W]`` in [0, 1].
        sigma: of the Gaussian blur, pixels.
        reach: the kernel ends after ``round(reach * sigma)`` pixels to each side.

    Returns:
        The same shape, in [0, 1], each image and channel for itself and not rounded to levels.
    """
    rows, columns = (
        blur_matrix(side, sigma=sigma, reach=reach).to(images.device, images.dtype) for side in images.shape[-2:]
    )
    blurred = rows @ images @ columns.T
    return (4 * (images - blurred) + MIDDLE).clamp(0, 1)


def stretch(images: Tensor) -> Tensor:
    """Each image's own smallest value to 0 and largest to 1, over all its channels; a flat image becomes 0.

    Args:
        images: ``[..., C, H, W]``; differentiable where not flat, the extremes included.
    """
    low, high = images.amin((-3, -2, -1), keepdim=True), images.amax((-3, -2, -1), keepdim=True)
    span = high - low
    return torch.where(span > 0, (images - low) / torch.where(span > 0, span, torch.ones_like(span)), 0.0)


def blur_matrix(side: int, *, sigma: float = SIGMA, reach: float = REACH) -> Tensor:
    """The Gaussian blur along one side as a matrix ``[side, side]``, float64; each row sums to 1.

    Beyond the border the image goes on mirrored about its last pixel, again and again where it is smaller than the
    kernel.
    """
    half = round(reach * sigma)
    steps = torch.arange(-half, half + 1)
    taps = torch.exp(-(steps.double() ** 2) / (2 * sigma**2))
    period = max(2 * (side - 1), 1)
    places = (torch.arange(side)[:, None] + steps) % period
    places = torch.minimum(places, period - places) if side > 1 else torch.zeros_like(places)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    return matrix.scatter_add_(1, places, (taps / taps.sum()).expand(side, -1))
