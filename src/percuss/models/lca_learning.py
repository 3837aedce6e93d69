"""Dictionaries of sparse codes, learned image by image: a step from one state to the next, and files of states."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from percuss.core.errors import ModelError, UsageError
from percuss.core.seeds import seed_of
from percuss.models.lca import STRIDE, Info, encode
from percuss.models.lca_geometry import Border, Geometry, synthesis_kernel, synthesise, unit_norm
from percuss.models.lca_solvers import Name, Solver
from percuss.models.lca_thresholds import Threshold

Rule = Literal["sequential", "hebbian"]
RULES: tuple[str, ...] = get_args(Rule)
Array = NDArray[Any]


@dataclass(frozen=True)
class Update:
    """How a step changes the atoms.

    Args:
        rule: ``sequential`` changes one atom after the other, each by ``rate * g / (sum of a^2 + mean sum of all
            atoms)``, and takes each change out of the residual before the next (as Mairal et al. 2009). ``hebbian``
            changes all at once by ``rate * g / (activations + 1)``. g is the sum of coefficient times residual over an
            atom's activations; after either, atoms have length 1.
        rate: of the first step.
        slowing: the rate at step t is ``rate / (1 + t / slowing)``.
        renew: every so many steps, atoms that were never active since become patches of the images; 0 for never.
    """

    rule: Rule = "sequential"
    rate: float = 0.7
    slowing: float = 30.0
    renew: int = 20

    def __post_init__(self) -> None:
        """Refuses settings out of range with a UsageError."""
        if self.rule not in RULES:
            raise UsageError("unknown rule for atoms", value=self.rule, allowed=", ".join(RULES))
        for name, value in (("rate", self.rate), ("slowing", self.slowing)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"the {name} of dictionary learning", value=value, allowed="a number above 0")
        if self.renew < 0:
            raise UsageError("the steps between renewals of atoms", value=self.renew, allowed="0 or more")


@dataclass(frozen=True)
class Learning:
    """A dictionary on its way. The next step depends on this and the images alone.

    Args:
        dictionary: atoms ``[M, C, K, K]`` of length 1.
        seed: of the random choices.
        stride, border: of the code.
        step: steps made.
        used: ``[M]``, activations of each atom since the last renewal.
    """

    dictionary: Tensor
    seed: int
    stride: int
    border: Border
    step: int
    used: Tensor


def begin(
    images: Tensor, atoms: int, size: int, *, seed: int, stride: int = STRIDE, border: Border = "mirror"
) -> Learning:
    """A state whose atoms are random patches of the images, each with noise of a tenth of its length.

    Args:
        images: ``[N, C, H, W]``, sides of at least ``size``.
        atoms: how many.
        size: sides K of an atom.
        seed: equal seeds give equal dictionaries.
        stride, border: of the code, see ``percuss.models.lca``.

    Raises:
        UsageError: no atom, images without or smaller than a patch, or a stride that does not fit.
    """
    if atoms < 1 or size < 1:
        raise UsageError(
            "a dictionary needs atoms and pixels", value=f"{atoms} atoms of {size} px", allowed="1 or more"
        )
    Geometry(size, stride, border)
    _check_patches(images, size)
    generator = torch.Generator().manual_seed(seed_of(seed, "atoms"))
    drawn = torch.stack([_patch(images, size, generator) for _ in range(atoms)])
    return Learning(drawn, seed, stride, border, 0, torch.zeros(atoms, dtype=torch.int64))


def learn(
    state: Learning,
    images: Tensor,
    *,
    threshold: float | Threshold,
    solver: Name | Solver = "fast",
    update: Update = Update(),
) -> tuple[Learning, Info]:
    """One step: the images are coded, then the atoms move towards what the codes leave over.

    Args:
        state: from ``begin``, ``learn`` or ``load``; it is not changed.
        images: ``[N, C, H, W]``, standardised as for ``encode``; of tissue without tumour for the study's encoder.
        threshold, solver: as for ``encode``.
        update: how atoms change.

    Returns:
        The next state, and what ``encode`` says about these images under the atoms before.
    """
    _check_patches(images, state.dictionary.shape[-1])
    code, info = encode(
        images, state.dictionary, threshold=threshold, stride=state.stride, solver=solver, border=state.border
    )
    geometry = Geometry(state.dictionary.shape[-1], state.stride, state.border)
    kernel = synthesis_kernel(state.dictionary, state.stride)
    left = geometry.canvas(images.detach()) - synthesise(code, kernel, stride=state.stride, side=geometry.kernel)
    atoms = state.dictionary.detach().cpu().numpy().copy()
    rate = update.rate / (1 + state.step / update.slowing)
    change = _sequential if update.rule == "sequential" else _hebbian
    change(atoms, code.cpu().numpy(), left.detach().cpu().numpy(), stride=state.stride, rate=rate)
    used = state.used + (code != 0).sum(dim=(0, 2, 3)).cpu()
    moved = replace(state, dictionary=torch.from_numpy(atoms).to(images.device), step=state.step + 1, used=used)
    renewing = update.renew and moved.step % update.renew == 0
    return (_renewed(moved, images) if renewing else moved), info


def _activations(code: Array, stride: int) -> Iterator[tuple[int, list[tuple[int, int, int, float]]]]:
    """For each atom that is active: image, first row and column on the canvas, and coefficient of each activation."""
    place = np.argwhere(code.transpose(1, 0, 2, 3))
    bounds = np.flatnonzero(np.diff(place[:, 0], prepend=-1, append=len(code[0]) + 1))
    for first, last in pairwise(bounds.tolist()):
        own = place[first:last]
        atom = int(own[0, 0])
        values = code[own[:, 1], atom, own[:, 2], own[:, 3]].tolist()
        spots = zip(own[:, 1].tolist(), (own[:, 2] * stride).tolist(), (own[:, 3] * stride).tolist(), strict=True)
        yield atom, [(*spot, value) for spot, value in zip(spots, values, strict=True)]


def _gathered(left: Array, spots: list[tuple[int, int, int, float]], side: int) -> Array:
    """The sum of coefficient times residual."""
    total: Array = np.zeros((left.shape[1], side, side), dtype=left.dtype)
    for image, top, first, value in spots:
        total += value * left[image, :, top : top + side, first : first + side]
    return total


def _length_one(atom: Array, before: Array) -> Array:
    """An atom of length 1; the one before where nothing is left of it."""
    length = float(np.linalg.norm(atom))
    return atom / length if math.isfinite(length) and length > 0 else before


def _sequential(atoms: Array, code: Array, left: Array, *, stride: int, rate: float) -> None:
    """Changes ``atoms`` one after the other, and ``left`` with them."""
    side, ridge = atoms.shape[-1], float(np.square(code, dtype=np.float64).sum()) / len(atoms)
    for atom, spots in _activations(code, stride):
        before = atoms[atom].copy()
        weight = sum(value * value for *_, value in spots) + ridge
        atoms[atom] = _length_one(before + rate / weight * _gathered(left, spots, side), before)
        change = atoms[atom] - before
        for image, top, first, value in spots:
            left[image, :, top : top + side, first : first + side] -= value * change


def _hebbian(atoms: Array, code: Array, left: Array, *, stride: int, rate: float) -> None:
    """Changes ``atoms`` by the same residual."""
    for atom, spots in _activations(code, stride):
        step = rate / (len(spots) + 1)
        atoms[atom] = _length_one(atoms[atom] + step * _gathered(left, spots, atoms.shape[-1]), atoms[atom])


def _renewed(state: Learning, images: Tensor) -> Learning:
    """The state with a patch in the place of each atom that was never active, and counts from 0."""
    dead = (state.used == 0).nonzero().flatten().tolist()
    generator = torch.Generator().manual_seed(seed_of(state.seed, "renew", state.step))
    atoms = state.dictionary.clone()
    for atom in dead:
        atoms[atom] = _patch(images, atoms.shape[-1], generator)
    return replace(state, dictionary=atoms, used=torch.zeros_like(state.used))


def _patch(images: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random patch of length 1 with noise of a tenth of that; noise alone where the patch is black."""
    count, channels, height, width = images.shape
    image, top, left = (
        int(torch.randint(end, (1,), generator=generator)) for end in (count, height - size + 1, width - size + 1)
    )
    patch = images[image, :, top : top + size, left : left + size].detach()
    noise = torch.randn(channels, size, size, generator=generator, dtype=torch.float64).to(images)
    length = torch.linalg.vector_norm(patch)
    clean = patch / length if float(length) > 0 else torch.zeros_like(patch)
    return unit_norm((clean + 0.1 * noise / torch.linalg.vector_norm(noise))[None])[0]


def _check_patches(images: Tensor, size: int) -> None:
    if images.ndim != 4 or len(images) == 0 or min(images.shape[2:]) < size:
        raise UsageError(
            "no patches to learn from", value=tuple(images.shape), allowed=f"[N, C, H, W] with N > 0, sides >= {size}"
        )
    if not bool(torch.isfinite(images).all()):
        raise UsageError("images to learn from hold NaN or infinite values", next_step="leave those images out")


def save(state: Learning, path: Path) -> None:
    """Writes the state as safetensors, whole or not at all; ``load`` goes on from there."""
    words = {"seed": state.seed, "stride": state.stride, "border": state.border, "step": state.step}
    tensors = {"dictionary": state.dictionary.detach().cpu().contiguous(), "used": state.used}
    beside = path.with_name(path.name + ".part")
    save_file(tensors, beside, metadata={key: str(value) for key, value in words.items()})
    beside.replace(path)


def load(path: Path) -> Learning:
    """A state written by ``save``; ModelError for any other file."""
    from safetensors import safe_open

    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as opened:
            words = opened.metadata() or {}
        border: Border = "none" if words["border"] == "none" else "mirror"
        seed, stride, step = (int(words[key]) for key in ("seed", "stride", "step"))
        return Learning(tensors["dictionary"], seed, stride, border, step, tensors["used"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(
            "not a state of dictionary learning", value=f"{path} ({error})", allowed="a file written by save"
        ) from error
