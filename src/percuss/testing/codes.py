"""A small network with a sparse code whose code and gradients are exact: patches that do not overlap, dense solves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.latent import GRADIENTS
from percuss.core.model import Model, ModelInfo


class PatchCode(nn.Module):
    """Images ``[N, C, H, W]`` to a non-negative sparse code of their patches, and one logit per patch.

    The code of each patch p, less the image's mean, minimises ``|p - D a|^2 / 2 + size * sum(a)`` over ``a >= 0``: the
    best over every set of active atoms.

    Args:
        atoms: of the dictionary.
        channels, side: of images and of a patch, in pixels; a patch is a cell.
        size: what a coefficient costs.
        seed: of dictionary and head.
        gradient: one of ``GRADIENTS``.
    """

    dictionary: Tensor
    inverses: Tensor

    def __init__(
        self,
        *,
        atoms: int = 8,
        channels: int = 3,
        side: int = 2,
        size: float = 0.05,
        seed: int = 0,
        gradient: str = "implicit",
    ) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        dictionary = torch.randn(atoms, channels * side * side, generator=draw)
        dictionary = nn.functional.normalize(dictionary, dim=1)
        self.register_buffer("dictionary", dictionary)
        self.register_buffer("inverses", _inverses(dictionary @ dictionary.T))
        self.head = nn.Parameter(torch.randn(atoms, generator=draw))
        self.shift = nn.Parameter(torch.zeros(()))
        self.side, self.size, self.gradient, self.settings = side, size, gradient, dict[str, Any]()

    @contextmanager
    def gradients(self, mode: str, **settings: Any) -> Iterator[None]:
        """Within, gradients through the code are made this way; ``steps`` are those of ``unrolled``."""
        if mode not in GRADIENTS:
            raise ModelError("unknown gradient", value=mode, allowed=", ".join(GRADIENTS))
        before = self.gradient, self.settings
        self.gradient, self.settings = mode, settings
        try:
            yield
        finally:
            self.gradient, self.settings = before

    def code(self, images: Tensor) -> Tensor:
        """The code ``[N, atoms, H / side, W / side]``."""
        patches = nn.functional.unfold(images - _mean(images), self.side, stride=self.side).transpose(1, 2)
        drive = patches @ self.dictionary.T - self.size
        inhibition = self.dictionary @ self.dictionary.T
        exact, active = self._solved(drive)
        if self.gradient == "implicit":
            found = exact
        elif self.gradient == "straight":
            found = _through(drive * active, exact)
        elif self.gradient == "one_step":
            found = _through(drive.relu(), exact)
        else:
            found = _through(_steps(drive, inhibition, self.settings.get("steps", 50)), exact)
        places = images.shape[2] // self.side, images.shape[3] // self.side
        return found.transpose(1, 2).reshape(len(images), -1, *places)

    def _solved(self, drive: Tensor) -> tuple[Tensor, Tensor]:
        """The best of the solutions on every set of atoms, differentiable on its set, and 1 where active."""
        with torch.no_grad():
            tried = torch.einsum("sij,npj->npsi", self.inverses, drive.double())
            energy = -(tried * drive.double().unsqueeze(2)).sum(-1) / 2
            best = energy.masked_fill((tried < 0).any(-1), torch.inf).argmin(-1)
        found = torch.einsum("npij,npj->npi", self.inverses[best], drive.double()).to(drive)
        return found, (found > 0).to(drive)

    def judge(self, code: Tensor) -> Tensor:
        """One logit per patch, ``[N, 1, H / side, W / side]``."""
        return (code * self.head.view(1, -1, 1, 1)).sum(1, keepdim=True) + self.shift

    def rebuild(self, code: Tensor, like: Tensor) -> Tensor:
        """Atoms times coefficients, plus the mean of the images ``like``."""
        patches = code.flatten(2).transpose(1, 2) @ self.dictionary
        return nn.functional.fold(patches.transpose(1, 2), like.shape[2:], self.side, stride=self.side) + _mean(like)

    def forward(self, images: Tensor) -> Tensor:
        """``judge`` of ``code``."""
        return self.judge(self.code(images))


class PlainCode(nn.Module):
    """A code that is not sparse: means of cells, weighed; and one logit per cell. No choice of gradients."""

    def __init__(self, *, channels: int = 3, side: int = 2, seed: int = 0) -> None:
        super().__init__()
        self.side, draw = side, torch.Generator().manual_seed(seed)
        self.head = nn.Parameter(torch.randn(channels, generator=draw))

    def code(self, images: Tensor) -> Tensor:
        """Means of cells, ``[N, C, H / side, W / side]``."""
        return nn.functional.avg_pool2d(images, self.side)

    def judge(self, code: Tensor) -> Tensor:
        """One logit per cell."""
        return ((code - 0.5) * self.head.view(1, -1, 1, 1)).sum(1, keepdim=True)

    def rebuild(self, code: Tensor, like: Tensor) -> Tensor:
        """Each mean in all pixels of its cell."""
        return code.repeat_interleave(self.side, 2).repeat_interleave(self.side, 3)

    def forward(self, images: Tensor) -> Tensor:
        """``judge`` of ``code``."""
        return self.judge(self.code(images))


def code_model(*, channels: int = 3, seed: int = 0, scale: float = 1.0, **settings: Any) -> Model:
    """A heat map from ``PatchCode``, its logits around 0 on random images; ``scale`` is a factor on the logits."""
    network = PatchCode(channels=channels, seed=seed, **settings)
    drawn = torch.rand(16, channels, 6 * network.side, 6 * network.side, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        network.shift.sub_(network(drawn).median()).mul_(scale)
        network.head.mul_(scale)
    return Model(network, ModelInfo("codes", "heatmap", ("normal", "tumour"), channels, cell=network.side))


def _mean(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3), keepdim=True)


def _inverses(inhibition: Tensor) -> Tensor:
    """For each set of atoms the inverse of their inhibition, 0 elsewhere, ``[2 ** atoms, atoms, atoms]``."""
    atoms = len(inhibition)
    found = torch.zeros(2**atoms, atoms, atoms, dtype=torch.float64)
    for number in range(1, 2**atoms):
        chosen = torch.tensor([i for i in range(atoms) if number >> i & 1])
        found[number][chosen[:, None], chosen] = torch.linalg.inv(inhibition[chosen][:, chosen].double())
    return found


def _steps(drive: Tensor, inhibition: Tensor, count: int) -> Tensor:
    """So many steps of gradient descent with a threshold, from 0."""
    length = 1 / torch.linalg.matrix_norm(inhibition.detach(), 2)
    code = torch.zeros_like(drive)
    for _ in range(count):
        code = (code + length * (drive - code @ inhibition)).relu()
    return code


def _through(like: Tensor, values: Tensor) -> Tensor:
    """The second's values with the first's gradient."""
    return values.detach() + (like - like.detach())
