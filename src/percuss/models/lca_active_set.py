"""Linear systems on the active coefficients of one image's sparse code, by conjugate gradients.

With S the active coefficients, the matrix is ``D_S' D_S``, the products of active atoms under their offsets, plus a
diagonal. It is never formed: a product with it is one pass from the coefficients to a canvas and one back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from percuss.models.lca_geometry import correlate, synthesise
from percuss.models.lca_members import corners
from percuss.models.lca_solvers import Problem
from percuss.models.lca_working_set import available

Array = NDArray[Any]


class Atoms(Protocol):
    """The active atoms of one code, at their places; vectors ``[n]`` are in the order of ``code.nonzero()``."""

    def spread(self, vector: Tensor) -> Tensor:
        """``D_S v``: the canvas ``[C, H, W]`` that coefficients stand for."""

    def gather(self, canvas: Tensor) -> Tensor:
        """``D_S' r``: the inner product of each active atom with the canvas."""

    def normal(self, vector: Tensor) -> Tensor:
        """``D_S' D_S v``."""


@dataclass(frozen=True)
class DenseAtoms:
    """The same by two dense convolutions, on any device: active ``[n, 3]`` (atom, row, column of the code)."""

    dictionary: Tensor
    kernel: Tensor
    stride: int
    places: tuple[int, int]
    active: Tensor

    def spread(self, vector: Tensor) -> Tensor:
        """``[n]`` to ``[C, H, W]``."""
        code = vector.new_zeros(len(self.dictionary), *self.places)
        code[tuple(self.active.T)] = vector
        return synthesise(code[None], self.kernel, stride=self.stride, side=self.dictionary.shape[-1])[0]

    def gather(self, canvas: Tensor) -> Tensor:
        """``[C, H, W]`` to ``[n]``."""
        return correlate(canvas[None], self.dictionary, self.stride)[0][tuple(self.active.T)]

    def normal(self, vector: Tensor) -> Tensor:
        """``[n]`` to ``[n]``."""
        return self.gather(self.spread(vector))


class SparseAtoms:
    """The same atom by atom in compiled loops, on a processor: work grows with the active coefficients alone."""

    def __init__(self, dictionary: Tensor, *, stride: int, places: tuple[int, int], active: Tensor) -> None:
        """Lays out the atoms, and the active coefficients in the order in which they lie on the canvas."""
        from percuss.models import lca_kernels

        self._loops = lca_kernels
        self.channels, side = dictionary.shape[1], dictionary.shape[-1]
        self.sides = tuple((count - 1) * stride + side for count in places)
        self.atoms = dictionary.permute(0, 2, 3, 1).flatten(2).contiguous().numpy()
        place = active.numpy()
        reach = -(-side // stride)
        block = place[:, 1:] // reach
        self.order = np.lexsort((place[:, 0], place[:, 2], place[:, 1], block[:, 1], block[:, 0]))
        self.place = corners(place[self.order], stride, self.channels)

    def _spread(self, vector: Array) -> Array:
        canvas = np.zeros((self.sides[0], self.sides[1] * self.channels), dtype=self.atoms.dtype)
        self._loops.subtract(canvas, self.atoms, self.place, -vector)
        return canvas

    def _gather(self, canvas: Array) -> Tensor:
        found = np.empty(len(self.place), dtype=self.atoms.dtype)
        self._loops.gather(canvas, self.atoms, self.place, found)
        back = np.empty_like(found)
        back[self.order] = found
        return torch.from_numpy(back)

    def spread(self, vector: Tensor) -> Tensor:
        """``[n]`` to ``[C, H, W]``."""
        canvas = self._spread(vector.numpy()[self.order]).reshape(*self.sides, self.channels)
        return torch.from_numpy(canvas).permute(2, 0, 1)

    def gather(self, canvas: Tensor) -> Tensor:
        """``[C, H, W]`` to ``[n]``."""
        return self._gather(canvas.permute(1, 2, 0).contiguous().numpy().reshape(self.sides[0], -1))

    def normal(self, vector: Tensor) -> Tensor:
        """``[n]`` to ``[n]``."""
        return self._gather(self._spread(vector.numpy()[self.order]))


def atoms_of(code: Tensor, problem: Problem) -> Atoms:
    """The active atoms of a problem's code ``[M, h, w]``, by compiled loops where they can run."""
    active, places = code.nonzero(), (code.shape[1], code.shape[2])
    if available(code.device):
        return SparseAtoms(problem.dictionary, stride=problem.stride, places=places, active=active)
    return DenseAtoms(problem.dictionary, problem.kernel, problem.stride, places, active)


@dataclass(frozen=True)
class Answer:
    """What conjugate gradients found: vector, iterations, and length of the rest as a share of the right side's."""

    vector: Tensor
    iterations: int
    rest: float


def conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor, *, tolerance: float, steps: int) -> Answer:
    """Solves ``A v = right`` for a symmetric positive definite A (Hestenes and Stiefel 1952).

    Args:
        product: A times a vector.
        right: ``[n]``; 0 gives 0.
        tolerance: ends when the rest ``|right - A v|`` is at most this share of ``|right|``; above 0.
        steps: products with A, at most.

    Returns:
        The vector of the smallest rest that was seen after a step. ``rest`` above ``tolerance``: the steps were not
        enough, or A is not positive definite along the way. NaN in ``right`` gives NaN back.
    """
    length = _length(right)
    if not length > 0:
        return Answer(right.clone(), 0, 0.0 if length == 0 else length)
    found, rest = torch.zeros_like(right), right.clone()
    ahead, square, step = right.clone(), length**2, 0
    best, least = found, math.inf  # where A is nearly singular rests rise at first: even so no 0 is given back
    while least > tolerance and step < steps:
        moved = product(ahead)
        curvature = _inner(ahead, moved)
        step += 1
        if not curvature > torch.finfo(right.dtype).eps * _inner(ahead, ahead):
            break
        share = square / curvature
        found, rest = found + share * ahead, rest - share * moved
        old, square = square, _inner(rest, rest)
        if square**0.5 < least * length:
            best, least = found, square**0.5 / length
        ahead = rest + (square / old) * ahead
    return Answer(best, step, _length(right - product(best)) / length if step else 0.0)


def _inner(one: Tensor, other: Tensor) -> float:
    return float((one.double() * other.double()).sum())


def _length(vector: Tensor) -> float:
    return math.sqrt(_inner(vector, vector))
