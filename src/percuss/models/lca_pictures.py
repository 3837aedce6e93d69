"""Arrays for pictures of a sparse code: its atoms by use, what one code is made of and where, what it gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from percuss.core.errors import UsageError
from percuss.models.lca import STRIDE, decode
from percuss.models.lca_geometry import Border, Geometry

Array = NDArray[Any]


@dataclass(frozen=True)
class Use:
    """How much each atom is used, tensors ``[M]`` on the processor.

    Args:
        active: places of all codes where it is not 0.
        total: sum of its coefficients.
    """

    active: Tensor
    total: Tensor

    @property
    def order(self) -> list[int]:
        """Atoms from the most to the least used by ``total``; of equal ones the first comes first."""
        return [int(atom) for atom in torch.argsort(-self.total, stable=True)]


@dataclass(frozen=True)
class Feature:
    """One active coefficient.

    Args:
        atom: which atom.
        row, column: of its upper left pixel in the image; below 0 where the atom begins in the mirrored border.
        side: of the atom, in pixels.
        value: the coefficient.
    """

    atom: int
    row: int
    column: int
    side: int
    value: float


def use_of(code: Tensor) -> Use:
    """The use of atoms in codes ``[N, M, h, w]`` together."""
    if code.ndim != 4:
        raise UsageError("not codes", value=tuple(code.shape), allowed="[N, atoms, h, w]")
    active = torch.count_nonzero(code, dim=(0, 2, 3)).cpu()
    return Use(active, code.detach().sum(dim=(0, 2, 3), dtype=torch.float64).cpu())


def kernel_grid(dictionary: Tensor, *, use: Use | None = None, columns: int | None = None) -> Array:
    """Atoms side by side, the most used first, row by row; white lines of one pixel between and around them.

    Each atom is stretched by itself: 0 is mid-grey (128), its value furthest from 0 is black or white. Their strengths
    cannot be compared in the picture.

    Args:
        dictionary: ``[M, C, K, K]``, of one or three channels.
        use: the order; None leaves the atoms as they stand.
        columns: atoms in a row; None for about as many as rows.

    Returns:
        uint8 ``[H, W, 3]``.

    Raises:
        UsageError: shapes that do not fit, columns below 1.
    """
    count, channels, side = _shape(dictionary)
    order = list(range(count)) if use is None else use.order
    if len(order) != count:
        raise UsageError("a use of other atoms", value=len(order), allowed=f"{count} atoms")
    across = math.ceil(math.sqrt(count)) if columns is None else columns
    if across < 1:
        raise UsageError("atoms in a row of a picture", value=columns, allowed="at least 1")
    atoms = dictionary.detach().cpu().double().expand(-1, 3 if channels == 1 else -1, -1, -1)
    largest = atoms.abs().flatten(1).amax(1).clamp(min=torch.finfo(torch.float64).tiny)
    shades = (128 + 127 * atoms / largest.view(-1, 1, 1, 1)).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    step = side + 1
    found = np.full((math.ceil(count / across) * step + 1, across * step + 1, 3), 255, dtype=np.uint8)
    for place, atom in enumerate(order):
        top, left = place // across * step + 1, place % across * step + 1
        found[top : top + side, left : left + side] = shades[atom]
    return found


def features(
    code: Tensor, dictionary: Tensor, *, stride: int = STRIDE, border: Border = "mirror", most: int | None = None
) -> list[Feature]:
    """The active coefficients of one code ``[M, h, w]``, largest first; of equal ones the lower atom, row, column.

    Args:
        code, dictionary: of one image; atoms ``[M, C, K, K]``.
        stride, border: those of ``encode``.
        most: how many; None for all.
    """
    count, _, side = _shape(dictionary)
    if code.ndim != 3 or len(code) != count:
        raise UsageError("not one image's code", value=tuple(code.shape), allowed=f"[{count}, h, w]")
    before = Geometry(side, stride, border).margins[0]
    places = code.nonzero().cpu()
    values = code.detach().cpu()[tuple(places.T)].double()
    chosen = torch.argsort(-values, stable=True)[:most].tolist()
    return [
        Feature(
            int(places[k, 0]), int(places[k, 1]) * stride - before, int(places[k, 2]) * stride - before, side,
            float(values[k]),
        )
        for k in chosen
    ]  # fmt: skip


def where(code: Tensor, atom: int | None = None) -> Array:
    """How strongly each place of one code ``[M, h, w]`` is used, by one atom or by all together: float64 ``[h, w]``."""
    if code.ndim != 3:
        raise UsageError("not one image's code", value=tuple(code.shape), allowed="[atoms, h, w]")
    if atom is not None and not 0 <= atom < len(code):
        raise UsageError("no such atom", value=atom, allowed=f"0 to {len(code) - 1}")
    own = code if atom is None else code[atom : atom + 1]
    found: Array = own.detach().sum(0, dtype=torch.float64).cpu().numpy()
    return found


def beside(
    image: Tensor, code: Tensor, dictionary: Tensor, *, stride: int = STRIDE, border: Border = "mirror"
) -> tuple[Array, Array, Array]:
    """One image, what its code gives back, and the difference image less code, as float64 ``[H, W, C]``.

    Args:
        image: ``[C, H, W]`` in [0, 1]. The code is of the image standardised (``lca.standardise``): its decoding is
            brought back to the image's mean and deviation over all values, and not clipped.
        code: ``[M, h, w]``.
        dictionary, stride, border: those of ``encode``.
    """
    if image.ndim != 3 or code.ndim != 3:
        raise UsageError(
            "one image and its code", value=f"{tuple(image.shape)} and {tuple(code.shape)}", allowed="three dimensions"
        )
    with torch.no_grad():
        made = decode(code[None], dictionary, stride=stride, border=border)[0].double()
    if made.shape != image.shape:
        raise UsageError("a code of another image", value=tuple(made.shape), allowed=f"{tuple(image.shape)} decoded")
    own = image.detach().double()
    made = made * (own - own.mean()).square().mean().sqrt() + own.mean()
    pair = [part.permute(1, 2, 0).cpu().numpy() for part in (own, made)]
    return pair[0], pair[1], pair[0] - pair[1]


def _shape(dictionary: Tensor) -> tuple[int, int, int]:
    """Atoms, channels, side."""
    good = dictionary.ndim == 4 and dictionary.shape[2] == dictionary.shape[3] and dictionary.shape[1] in (1, 3)
    if not good or 0 in dictionary.shape:
        raise UsageError(
            "not a dictionary for a picture", value=tuple(dictionary.shape), allowed="[atoms, 1 or 3, K, K], none 0"
        )
    return dictionary.shape[0], dictionary.shape[1], dictionary.shape[2]
