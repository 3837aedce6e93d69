"""The denoising autoencoder of Strauss and Kenyon, and its learning; usable alone."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError, UsageError
from percuss.core.seeds import ImageRandom, seed_of
from percuss.core.teller import Silent, Teller
from percuss.models.encoder_state import EVERY, by_content, identity, read_state, write_state
from percuss.models.heat_head import SameConvolution
from percuss.models.sides import check_sides

#: Channels of the code, pixels between its places, and parameters of the encoder.
CHANNELS, STRIDE, PARAMETERS = 9, 2, 18_801


class DenoisingAutoencoder(nn.Module):
    """Encoder: 36 kernels of 8 x 8, maximum over 2 x 2, 18 of 4 x 4, 9 of 3 x 3; decoder: the same backwards.

    ReLU after every convolution but the decoder's last, dropout 0.1 behind the encoder's first two and between the
    decoder's first two, borders of zeros, stride 1, Glorot's uniform weights, biases. Images of 512 x 512 x 3 have a
    code of 256 x 256 x 9. The paper says of the decoder that it mirrors the encoder and shares no weights; what doubles
    the sides is not stated (nearest places here), nor the last activation (none here).

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(SameConvolution(channels, 36, 8), nn.ReLU(), nn.MaxPool2d(STRIDE), nn.Dropout(0.1)),
            *(SameConvolution(36, 18, 4), nn.ReLU(), nn.Dropout(0.1)),
            *(SameConvolution(18, CHANNELS, 3), nn.ReLU()),
        )
        self.decoder = nn.Sequential(
            *(SameConvolution(CHANNELS, 18, 3), nn.ReLU(), nn.Dropout(0.1)),
            *(SameConvolution(18, 36, 4), nn.ReLU()),
            *(nn.Upsample(scale_factor=STRIDE, mode="nearest"), SameConvolution(36, channels, 8)),
        )

    def encode(self, images: Tensor) -> Tensor:
        """Images ``[N, C, H, W]`` to codes ``[N, 9, H / 2, W / 2]``, at least 0; ModelError for odd sides."""
        check_sides((images.shape[2], images.shape[3]), STRIDE, "denoising_autoencoder")
        code: Tensor = self.encoder(images)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Codes ``[N, 9, h, w]`` to images ``[N, C, 2h, 2w]``, not clipped."""
        images: Tensor = self.decoder(code)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Images to what their codes stand for."""
        return self.decode(self.encode(images))


@dataclass(frozen=True)
class Learning:
    """How the autoencoder learns. The paper states the noise, the loss (mean squared error) and the epochs alone.

    Args:
        epochs: passes over the images.
        batch_size: images of a step (not stated in the paper).
        rate: of Adam (neither is stated in the paper).
        noise: standard deviation of the normal noise on the images in [0, 1]; noisy images are not clipped.
        seed: of noise, dropout and order. Starting weights are those that the network is given with.
    """

    epochs: int = 4
    batch_size: int = 4
    rate: float = 1e-3
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses settings out of range with a UsageError."""
        for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size)):
            if value < 1:
                raise UsageError(f"the {name} of a denoising autoencoder", value=value, allowed="1 or more")
        if not (math.isfinite(self.rate) and self.rate > 0 and math.isfinite(self.noise) and self.noise >= 0):
            raise UsageError(
                "rate or noise of a denoising autoencoder",
                value=f"{self.rate}, {self.noise}",
                allowed="a rate above 0, a noise of 0 or more",
            )


@dataclass
class _Run:
    """Where a learning stands: steps of this epoch, its summed loss, and the mean losses of the epochs before."""

    network: DenoisingAutoencoder
    optimiser: torch.optim.Adam
    told: dict[str, Any]
    path: Path | None
    step: int = 0
    total: float = 0.0
    losses: list[float] = field(default_factory=list)

    def save(self) -> None:
        if self.path is None:
            return
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for place, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{place}.{name}": value for name, value in moments.items()}
        words = {**self.told, "step": self.step, "total": self.total, "losses": self.losses}
        write_state(self.path, tensors, words)

    def restore(self) -> None:
        found = None if self.path is None else read_state(self.path, self.told["identity"])
        if found is None:
            return
        tensors, words = found
        self.step, self.total, self.losses = words["step"], words["total"], words["losses"]
        self.network.load_state_dict(_below(tensors, "network"))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "adam").items():
            place, _, kind = name.partition(".")
            moments.setdefault(int(place), {})[kind] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})


def _below(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}


def learn(
    network: DenoisingAutoencoder,
    images: Tensor,
    learning: Learning = Learning(),
    *,
    path: Path | None = None,
    progress: Teller | None = None,
) -> list[float]:
    """Teaches a network to give back the images from noisy copies of them; it is left in eval mode.

    Noise belongs to image and epoch, dropout and order to epoch and step: how images are listed changes nothing, and a
    learning that was killed goes on from ``path`` to the same weights (on a processor with as many threads).

    Args:
        network: on the device where it shall learn.
        images: ``[N, C, H, W]``, float32 in [0, 1], of even sides; on any device.
        learning: how.
        path: safetensors file of the state, written every half minute and after each epoch; None for none.
        progress: told how far it is.

    Returns:
        The mean loss of each epoch.

    Raises:
        ModelError: no images, odd sides, or a loss that is not finite.
        RunError: ``path`` holds another learning, is damaged, or cannot be written.
    """
    if images.ndim != 4 or not len(images):
        raise ModelError("no images to learn from", value=tuple(images.shape), allowed="[N, C, H, W] with N > 0")
    check_sides((images.shape[2], images.shape[3]), STRIDE, "denoising_autoencoder")
    names, places = by_content(images)
    optimiser = torch.optim.Adam(network.parameters(), lr=learning.rate)
    begun = {name: value.detach().cpu().double().sum().item() for name, value in network.state_dict().items()}
    run = _Run(network, optimiser, {"identity": identity((learning, begun), names)}, path)
    run.restore()
    say = progress or Silent()
    while len(run.losses) < learning.epochs:
        say.start(f"encoder, epoch {len(run.losses) + 1} of {learning.epochs}", -(-len(names) // learning.batch_size))
        try:
            _epoch(run, images, (names, places), learning, say=say)
        finally:
            say.stop()
        say.line(f"encoder, epoch {len(run.losses)} of {learning.epochs}: squared error {run.losses[-1]:.5f}")
    network.zero_grad(set_to_none=True)
    network.eval()
    return run.losses


def _epoch(run: _Run, images: Tensor, order: tuple[list[str], list[int]], learning: Learning, *, say: Teller) -> None:
    names, places = order
    epoch, device = len(run.losses), next(run.network.parameters()).device
    mixed = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed_of(learning.seed, "order", epoch)))
    batches = torch.split(mixed, learning.batch_size)
    run.network.train()
    saved = time.monotonic()
    say.advance(run.step)
    for batch in batches[run.step :]:
        chosen = batch.tolist()
        clean = torch.stack([images[places[place]].cpu() for place in chosen])
        draws = ImageRandom(learning.seed, [f"{names[place]} {epoch}" for place in chosen], "denoising")
        noisy = clean + learning.noise * draws.normal(clean.shape[1:])
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed_of(learning.seed, "dropout", epoch, run.step))
            made = run.network(noisy.to(device))
        loss = nn.functional.mse_loss(made, clean.to(device))
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        run.optimiser.step()
        run.step, run.total = run.step + 1, run.total + float(loss.detach()) * len(chosen)
        say.advance()
        if not math.isfinite(run.total):
            raise ModelError(
                "the loss of the denoising autoencoder is not finite",
                value=f"epoch {epoch + 1}, step {run.step}",
                next_step=f"lower its rate (it is {learning.rate:g}), or look at the images",
            )
        if time.monotonic() - saved > EVERY:
            run.save()
            saved = time.monotonic()
    run.losses.append(run.total / len(names))
    run.step, run.total = 0, 0.0
    run.save()
