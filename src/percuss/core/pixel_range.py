"""The range in which an image is stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from percuss.core.errors import DataError


@dataclass(frozen=True)
class PixelRange:
    """Native value range of stored pixels: ``[low, high]`` in ``step``s of ``unit``.

    8-bit images are ``PixelRange(0, 255)``; a CT window of -1350..150 HU is ``PixelRange(-1350, 150, 1, "HU")``.
    Images in [0, 1] are ``(native - low) / (high - low)``; one stored step is ``step / (high - low)`` there.
    """

    low: float = 0.0
    high: float = 255.0
    step: float = 1.0
    unit: str = "grey level"

    def __post_init__(self) -> None:
        steps = self.span / self.step if self.step > 0 else 0.0
        if not (np.isfinite(self.span) and self.span > 0) or steps < 1 or abs(steps - round(steps)) > 1e-6 * steps:
            raise DataError(
                "the native range of pixels has no whole number of steps",
                value=f"{self.low:g} to {self.high:g} {self.unit} in steps of {self.step:g}",
                allowed="low below high, and a step that divides their distance",
                next_step="state the window and step in which the images are stored",
            )

    @property
    def span(self) -> float:
        """``high - low`` in native units."""
        return self.high - self.low

    @property
    def levels(self) -> int:
        """Number of steps between low and high (255 for 8 bit, 65535 for 16 bit)."""
        return round(self.span / self.step)
