"""The working set of one image's sparse code: which coefficients it holds, in blocks, and descent over these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
#: Work on fewer coefficients than this is not worth a second thread.
_WORTH = 2000
_OUTER = 20
#: Runs a function on several argument lists, in any order or at once; the results in order.
Run = Callable[[Callable[..., Any], list[tuple[Any, ...]]], list[Any]]


@dataclass(frozen=True)
class Layout:
    """How atoms lie: places of the code (rows, columns), pixels between them, an atom's side, the image's channels."""

    places: tuple[int, int]
    stride: int
    side: int
    channels: int

    @property
    def reach(self) -> int:
        """Places that an atom spans: the side of a block."""
        return -(-self.side // self.stride)


@dataclass(frozen=True)
class Members:
    """Coefficients: place ``[n, 3]`` (atom, row, column of the code) and value ``[n]``."""

    place: Array
    value: Array

    @classmethod
    def of(cls, start: Tensor | None, kind: np.dtype[Any]) -> Members:
        """The active ones of a code ``[M, h, w]``."""
        if start is None:
            return cls(np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=kind))
        place: Array = start.nonzero().numpy()
        return cls(place, start.numpy()[tuple(place.T)])

    def active(self) -> Members:
        """Those that are not 0."""
        kept = self.value != 0
        return Members(self.place[kept], self.value[kept])

    def inside(self, shape: tuple[int, ...]) -> Array:
        """Bool ``[places, M]`` for a shape (rows, columns, M): True at members."""
        found = np.zeros(shape, dtype=np.bool_)
        found[self.place[:, 1], self.place[:, 2], self.place[:, 0]] = True
        return found.reshape(-1, shape[2])

    def joined(self, added: Array, layout: Layout) -> Members:
        """With candidates (``[places, EACH]`` atoms, -1 for none) at 0, all in the order of ``_order``."""
        spot, rank = np.nonzero(added >= 0)
        fresh = np.stack([added[spot, rank], spot // layout.places[1], spot % layout.places[1]], axis=1)
        place = np.concatenate([self.place, fresh])
        value = np.concatenate([self.value, np.zeros(len(fresh), dtype=self.value.dtype)])
        order = _order(place, layout)
        return Members(place[order], value[order])


def corners(place: Array, stride: int, channels: int) -> Array:
    """Atom, first row, and first value of that row, in a residual of ``[H, W * C]``."""
    found: Array = place * np.array([1, stride, stride * channels])
    return found


def _order(place: Array, layout: Layout) -> Array:
    """By colour of their block, block, place in it, atom.

    Atoms of two blocks touch only if these are neighbours. So of blocks whose rows differ by an even number, and whose
    columns do, no two touch: they have one colour of four, and a colour's blocks can be visited in any order.
    """
    block = place[:, 1:] // layout.reach
    colour = 2 * (block[:, 0] % 2) + block[:, 1] % 2
    found: Array = np.lexsort((place[:, 0], place[:, 2], place[:, 1], block[:, 1], block[:, 0], colour))
    return found


def colours(place: Array, layout: Layout) -> list[Array]:
    """For each colour of members in order: its blocks as ``descend`` wants them."""
    block = place[:, 1:] // layout.reach
    new = np.ones(len(block), dtype=np.bool_)
    new[1:] = (block[1:] != block[:-1]).any(1)
    first = np.flatnonzero(new)
    # Without a member there is no last block to end either.
    rows = np.column_stack([first, np.append(first, len(block))[1:], block[first] + 1])
    colour = 2 * (block[first, 0] % 2) + block[first, 1] % 2
    return [rows[colour == one] for one in range(4)]


def descended(members: Members, residual: Array, atoms: Array, *, rule: Array, layout: Layout, run: Run) -> Members:
    """Coordinate descent until no block moves by more than the goal in ``rule``; ``residual`` changes in place.

    The order of visits is fixed but within a colour, where it does not matter: threads do not change one bit.
    """
    from percuss.models import lca_kernels

    corner, value = corners(members.place, layout.stride, layout.channels), members.value.copy()
    dirty = np.ones([-(-count // layout.reach) + 2 for count in layout.places], dtype=np.bool_)
    parts = [_parts(blocks, len(value)) for blocks in colours(members.place, layout)]
    for _ in range(_OUTER):
        lively = False
        for own in parts:
            jobs = [(residual, atoms, corner, value, blocks, dirty, rule) for blocks in own]
            lively = any(run(lca_kernels.descend, jobs)) or lively
        if not lively:
            break
    return Members(members.place, value).active()


def _parts(blocks: Array, size: int) -> list[Array]:
    """A colour's blocks for each thread, of about as many coefficients."""
    threads = shares(size)
    if threads == 1 or not len(blocks):
        return [blocks] if len(blocks) else []
    ends = np.cumsum(blocks[:, 1] - blocks[:, 0])
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, threads) / threads)
    return [part for part in np.split(blocks, cuts) if len(part)]


def shares(size: int) -> int:
    """Into how many parts to split so much work: torch's threads, where it is worth it."""
    return max(1, min(torch.get_num_threads(), size // _WORTH))


@contextmanager
def runner() -> Iterator[Run]:
    """Runs compiled loops, which let go of Python's lock, on as many threads as torch may use."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield _one_by_one
        return
    with ThreadPoolExecutor(threads) as pool:

        def run(function: Callable[..., Any], jobs: list[tuple[Any, ...]]) -> list[Any]:
            if len(jobs) < 2:
                return _one_by_one(function, jobs)
            return list(pool.map(lambda job: function(*job), jobs))

        yield run


def _one_by_one(function: Callable[..., Any], jobs: list[tuple[Any, ...]]) -> list[Any]:
    return [function(*job) for job in jobs]
