"""Which coefficients outside the working set violate their threshold, with as few dense correlations as possible.

Three looks, from cheap to dear: on an image and atoms of half the resolution, which says where to begin but certifies
nothing; only at coefficients in doubt since the last dense correlation; and everywhere. An atom of length 1 correlates
with two residuals differently by at most the length of their difference under it: what lay further below its threshold
is not in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from percuss.models.lca_geometry import correlate
from percuss.models.lca_members import Layout, Members, Run, shares
from percuss.models.lca_solvers import Problem

Array = NDArray[Any]
#: Correlations in doubt, as a share of all, up to which each is worked out by itself: a dense pass costs less beyond.
_DOUBT = 0.05
#: Atoms of fewer pixels a side gain nothing from half the resolution.
_COARSE = 12


@dataclass(frozen=True)
class Seen:
    """What a look found.

    Args:
        added: ``[places, EACH]`` atoms that violate their threshold, largest first, -1 for none.
        outside: the largest correlation outside the working set, or anything up to the floor.
        certain: whether every coefficient was looked at.
    """

    added: Array
    outside: float
    certain: bool


class Looks:
    """The looks at one image's residuals, with the last dense correlation."""

    def __init__(self, problem: Problem, atoms: Array, *, floor: Any, run: Run) -> None:
        """``atoms`` are the dictionary as ``[M, K, K * C]``; ``floor`` is what may stay outside the working set."""
        channels, side = problem.dictionary.shape[1], problem.dictionary.shape[-1]
        places = tuple((length - side) // problem.stride + 1 for length in problem.canvas.shape[1:])
        self.layout = Layout((places[0], places[1]), problem.stride, side, channels)
        self.halved = side >= _COARSE and side % 2 == 0 and problem.stride % 2 == 0
        self._problem, self._atoms, self._floor, self._run = problem, atoms, floor, run
        self._longest = float(torch.linalg.vector_norm(problem.dictionary.flatten(1), dim=1).max())
        self._halves = _by_pixel(2 * functional.avg_pool2d(problem.dictionary, 2)) if self.halved else None
        self._old: Array | None = None
        self._then: Array | None = None
        rows, columns = np.divmod(np.arange(places[0] * places[1]), places[1])
        self._spot = np.column_stack([rows, columns * channels]) * problem.stride

    def coarse(self, residual: Array, members: Members) -> Seen:
        """At half the resolution."""
        assert self._halves is not None, "atoms that cannot be halved"
        small = _by_pixel(2 * functional.avg_pool2d(self._image(residual)[None], 2))
        seen = correlate(small, self._halves, self._problem.stride // 2)[0]
        return self._candidates(seen.permute(1, 2, 0).contiguous().numpy(), members, certain=False)

    def sure(self, residual: Array, members: Members) -> Seen:
        """Everywhere, or where there is doubt."""
        if self._old is not None:
            moved = self._moved(residual)
            parts = self._rows(self._old.size)
            jobs = [(self._old[part], moved[part], self._floor) for part in parts]
            from percuss.models import lca_kernels

            if sum(self._run(lca_kernels.doubtful, jobs)) <= _DOUBT * self._old.size:
                return self._screened(residual, members, moved)
        seen = self._problem.correlate(self._image(residual)).permute(1, 2, 0).contiguous().numpy()
        self._old, self._then = seen.reshape(-1, seen.shape[2]), residual.copy()
        return self._candidates(seen, members, certain=True)

    def _image(self, residual: Array) -> Tensor:
        return torch.from_numpy(residual.reshape(len(residual), -1, self.layout.channels)).permute(2, 0, 1)

    def _candidates(self, seen: Array, members: Members, *, certain: bool) -> Seen:
        from percuss.models import lca_kernels

        flat, inside = seen.reshape(-1, seen.shape[2]), members.inside(seen.shape)
        jobs = [(flat[part], inside[part], self._floor) for part in self._rows(flat.size)]
        return _seen(self._run(lca_kernels.candidates, jobs), certain=certain)

    def _screened(self, residual: Array, members: Members, moved: Array) -> Seen:
        from percuss.models import lca_kernels

        assert self._old is not None, "nothing to compare with"
        inside = members.inside((*self.layout.places, len(self._atoms)))
        jobs = [
            (residual, self._atoms, self._spot[part], self._old[part], inside[part], moved[part], self._floor)
            for part in self._rows(self._old.size)
        ]
        return _seen(self._run(lca_kernels.screened, jobs), certain=True)

    def _rows(self, size: int) -> list[slice]:
        """The places for each thread."""
        count = len(self._spot)
        threads = max(1, min(shares(size // 100), count))
        ends = [count * part // threads for part in range(threads + 1)]
        return [slice(first, last) for first, last in pairwise(ends)]

    def _moved(self, residual: Array) -> Array:
        """For each place, how much a correlation can have changed since the last dense one; rounding is on top."""
        assert self._then is not None, "nothing to compare with"
        apart = (residual - self._then).astype(np.float64) ** 2
        side, stride = self.layout.side, self.layout.stride
        square = np.zeros((len(apart) + 1, apart.shape[1] // self.layout.channels + 1))
        square[1:, 1:] = apart.reshape(len(apart), -1, self.layout.channels).sum(2).cumsum(0).cumsum(1)
        under = square[side:, side:] - square[:-side, side:] - square[side:, :-side] + square[:-side, :-side]
        summed = 8 * np.finfo(np.float64).eps * square[-1, -1]  # of running sums and their differences
        length = np.sqrt(np.maximum(under[::stride, ::stride].reshape(-1), 0) + summed) * self._longest
        rounding = np.finfo(residual.dtype).eps * (side * self.layout.channels**0.5) * np.abs(self._then).max()
        return np.asarray(length * (1 + 1e-5) + 4 * rounding, dtype=residual.dtype)


def _by_pixel(given: Tensor) -> Tensor:
    """With channels last in memory: twice as quick to convolve at these shapes, and so are the correlations found."""
    return given.contiguous(memory_format=torch.channels_last)


def _seen(parts: list[Any], *, certain: bool) -> Seen:
    added = np.concatenate([part[0] for part in parts])
    return Seen(added, max(float(part[1]) for part in parts), certain)
