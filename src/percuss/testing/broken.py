"""Defences that are known to be broken: each hides the gradient or the weakness, and none protects.

Every one wraps any network from images in [0, 1] to logits. ``BROKEN`` names them with the ids of the alarms of which
at least one must go off; a check that lets one pass cannot tell robustness from a hidden gradient.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from percuss.attacks.bpda import Approximated


class Wrapped(nn.Module):
    """A network with something around it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def before(self, images: Tensor) -> Tensor:
        """What is done to the images."""
        return images

    def after(self, logits: Tensor) -> Tensor:
        """What is done to the logits."""
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, outputs]``."""
        return self.after(cast(Tensor, self.network(self.before(images))))


class Quantised(Wrapped):
    """Rounds the input to 12 levels: the gradient of rounding is zero."""

    def before(self, images: Tensor) -> Tensor:
        """Rounded images."""
        return (images * 11).round() / 11


class Saturated(Wrapped):
    """Multiplies the logits by 1000, so that the gradient of the cross-entropy underflows."""

    def after(self, logits: Tensor) -> Tensor:
        """Far apart."""
        return logits * 1000


class LoggedSoftmax(Wrapped):
    """The logarithm of a saturated softmax in float32: its gradient is zero."""

    def after(self, logits: Tensor) -> Tensor:
        """Finite, and flat."""
        return (logits * 1000).softmax(1).clamp_min(1e-30).log()


class Probabilities(Wrapped):
    """Gives probabilities instead of logits."""

    def after(self, logits: Tensor) -> Tensor:
        """Softmax, or sigmoid of a single logit."""
        return logits.softmax(1) if logits.shape[1] > 1 else logits.sigmoid()


class Noisy(Wrapped):
    """Adds fresh noise to each input."""

    def before(self, images: Tensor) -> Tensor:
        """Other images each time."""
        return images + 0.05 * torch.randn_like(images)


class Jpeg(Wrapped):
    """Writes and reads the input as JPEG outside torch."""

    def before(self, images: Tensor) -> Tensor:
        """Images without history."""
        return torch.stack([_jpeg(image) for image in images.detach().cpu()]).to(images)


class Smoothed(Wrapped):
    """A median of 3 by 3 values, rounded, without gradient but for a leak of zero."""

    def before(self, images: Tensor) -> Tensor:
        """Smoothed images, with a gradient of exactly zero."""
        padded = nn.functional.pad(images.detach(), (1, 1, 1, 1), mode="replicate")
        around = padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)
        return (around.median(4).values * 32).round() / 32 + 0 * images


class Detached(Wrapped):
    """Cuts the input off from the logits."""

    def before(self, images: Tensor) -> Tensor:
        """Without history."""
        return images.detach()


class WrongGradient(Wrapped):
    """Right logits, with the gradient of something else."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.step = Approximated(_same, _turned)
        # It does not say what it does: to the alarms it is a step like any other.
        self.hidden = (self.step,)
        del self.step

    def before(self, images: Tensor) -> Tensor:
        """The images, whose gradient comes back turned round."""
        return cast(Tensor, self.hidden[0](images))


class Shattered(Wrapped):
    """Adds fine ripples of a few grey levels: the gradient is true and useless."""

    def before(self, images: Tensor) -> Tensor:
        """Rippled images."""
        return images + 0.02 * torch.sin(images * 5000)


class BatchDependent(Wrapped):
    """Normalises the input by the batch it comes in, as a batch norm left in training mode does."""

    def before(self, images: Tensor) -> Tensor:
        """Images by the mean and spread of their batch."""
        return nn.functional.batch_norm(images, None, None, training=True) * 0.25 + 0.5


class Purified(Wrapped):
    """Makes the input less doubtful by gradient steps of its own before it decides."""

    def before(self, images: Tensor) -> Tensor:
        """Images moved towards a sure decision."""
        with torch.enable_grad():
            point = images.detach().requires_grad_(True)
            doubt = -self.network(point).log_softmax(1).max(1).values.sum()
            (slope,) = torch.autograd.grad(doubt, point)
        return images - 0.02 * slope.sign()


#: Name -> the defence, and the alarms of which at least one must go off.
BROKEN: dict[str, tuple[Callable[[nn.Module], nn.Module], tuple[str, ...]]] = {
    "quantised": (Quantised, ("zero-gradients",)),
    "saturated": (Saturated, ("saturated-loss",)),
    "logged softmax": (LoggedSoftmax, ("zero-gradients",)),
    "probabilities": (Probabilities, ("probabilities-not-logits",)),
    "noisy": (Noisy, ("nondeterministic-forward",)),
    "jpeg": (Jpeg, ("gradient-missing",)),
    "smoothed": (Smoothed, ("zero-gradients",)),
    "detached": (Detached, ("gradient-missing",)),
    "wrong gradient": (WrongGradient, ("gradient-disagrees",)),
    "shattered": (Shattered, ("noisy-loss",)),
    "batch-dependent": (BatchDependent, ("batch-dependent",)),
    "purified": (Purified, ("optimises-inside",)),
}


def _jpeg(image: Tensor) -> Tensor:
    grey = image.shape[0] == 1
    values = (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(values[:, :, 0] if grey else values).save(file, format="JPEG", quality=75)
    found: Any = np.asarray(Image.open(file), dtype=np.float32) / 255
    return torch.from_numpy(found[None] if grey else found.transpose(2, 0, 1).copy())


def _same(images: Tensor) -> Tensor:
    return images


def _turned(images: Tensor) -> Tensor:
    return images.flip(3)
