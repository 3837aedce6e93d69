"""percuss:denoising_detector: a heat map of tumour from the code of a denoising autoencoder (Strauss and Kenyon)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.model import ModelInfo
from percuss.core.teller import Teller
from percuss.models.denoising_autoencoder import CHANNELS, STRIDE, DenoisingAutoencoder, Learning, learn
from percuss.models.heat_detector import CELL, HeatDetector, check_options, describe
from percuss.models.options import Options
from percuss.models.spec_options import whole

OPTIONS = ("cell", "epochs", "batch")
FILE = "denoising-autoencoder.safetensors"
#: Share of the squared error of each tile's mean colour above which an autoencoder has hardly learned.
POOR = 0.5


class DenoisingDetector(HeatDetector):
    """The autoencoder of ``percuss.models.denoising_autoencoder``, and the head on its code.

    Args:
        channels: of the images.
        cell: side of a cell in pixels.
        learning: of the autoencoder; its seed is replaced by that of ``prepare``. As in the paper where None.
    """

    def __init__(self, channels: int = 3, *, cell: int = CELL, learning: Learning | None = None) -> None:
        super().__init__("denoising_detector", CHANNELS, stride=STRIDE, cell=cell)
        self.autoencoder = DenoisingAutoencoder(channels)
        self.autoencoder.requires_grad_(False)
        self.learning = learning or Learning()

    def encode(self, images: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, 9, H / 2, W / 2]``."""
        return self.autoencoder.encode(images)

    def rebuild(self, code: Tensor, like: Tensor) -> Tensor:
        """Images from codes; the code holds mean and deviation, so ``like`` changes nothing."""
        return self.autoencoder.decode(code)

    def train(self, mode: bool = True) -> DenoisingDetector:
        """As for any module, but the frozen autoencoder stays in eval mode."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def known(self) -> dict[str, Any]:
        """See ``HeatDetector.known``."""
        parameters = sum(value.numel() for value in self.autoencoder.encoder.parameters())
        return {"kind": "denoising autoencoder", "parameters": parameters}

    def prepare(self, images: Tensor, *, seed: int, folder: Path, progress: Teller) -> None:
        """See ``HeatDetector.prepare``."""
        learning = Learning(**{**vars(self.learning), "seed": seed})
        self.autoencoder.requires_grad_(True)
        try:
            with torch.enable_grad():
                losses = learn(self.autoencoder, images, learning, path=folder / FILE, progress=progress)
        finally:
            self.autoencoder.requires_grad_(False)
        self.learned.fill_(True)
        # Against giving back each tile's mean colour; in float32, as a copy in float64 may not fit.
        spread = float(torch.stack([image.var(dim=(1, 2), correction=0).mean() for image in images]).mean())
        left = losses[-1] / spread if spread > 0 else 0.0
        if left > POOR:
            progress.line(
                f"the autoencoder gives back little: its squared error is {left:.2f} of what each tile's mean colour "
                f"leaves; give more epochs= (now {learning.epochs}) or more tiles"
            )
        self._facts = {
            "images": len(images),
            "epochs": learning.epochs,
            "batch_size": learning.batch_size,
            "noise": learning.noise,
            "optimiser": f"adam, rate {learning.rate:g} (not stated in the paper)",
            "squared_error": losses,
            "error_share": left,
        }


def build(given: Mapping[str, str], options: Options) -> tuple[nn.Module, ModelInfo]:
    """The network and what it says of itself; it takes [0, 1]."""
    inside = check_options("denoising_detector", options)
    cell = whole(given, "cell", otherwise=CELL, least=1, most=64)
    learning = Learning(
        epochs=whole(given, "epochs", otherwise=4, least=1, most=10_000),
        batch_size=whole(given, "batch", otherwise=4, least=1, most=1024),
    )
    network = DenoisingDetector(inside, cell=cell, learning=learning)
    return network, describe("percuss:denoising_detector", options, inside=inside, cell=cell)
