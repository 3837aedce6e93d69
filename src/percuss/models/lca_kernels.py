"""The inner loops of the working-set solver, compiled by numba; imported only where that solver runs.

Places are rows of (atom, row of the residual, first value in that row); residuals are ``[H, W * C]``, atoms
``[M, K, K * C]``, so that a row of an atom is one run of numbers in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

#: Candidates that a place may add in a round.
EACH = 4
_INNER, _OUTER = 8, 20
# Sums may be regrouped into vector registers; nothing else of the arithmetic is loosened.
_FAST = {"reassoc", "contract", "nsz"}

Array = NDArray[Any]
Compiled = Callable[..., Any]


def _compiled(loop: Compiled) -> Compiled:
    """The loop as machine code, kept on disk where a folder for it can be written."""
    try:
        return cast("Compiled", numba.njit(cache=True, fastmath=_FAST)(loop))
    except RuntimeError:  # no folder can be written: compile in every process
        return cast("Compiled", numba.njit(fastmath=_FAST)(loop))


@_compiled
def _product(residual: Array, atom: Array, top: int, left: int) -> Any:
    """The inner product of an atom with the residual under it."""
    found = residual[0, 0] * 0
    for i in range(atom.shape[0]):
        line, row = residual[top + i, left : left + atom.shape[1]], atom[i]
        total = line[0] * 0
        for j in range(len(row)):
            total += line[j] * row[j]
        found += total
    return found


@_compiled
def _take(residual: Array, atom: Array, top: int, left: int, share: Any) -> None:
    """Takes a multiple of an atom from the residual under it."""
    for i in range(atom.shape[0]):
        line, row = residual[top + i, left : left + atom.shape[1]], atom[i]
        for j in range(len(row)):
            line[j] -= share * row[j]


@_compiled
def _sweep(residual: Array, atoms: Array, place: Array, value: Array, rule: Array, zeros: bool) -> Any:
    """The exact minimum in one coefficient after the other, without those at 0 unless ``zeros``; the largest change."""
    largest = rule[0] * 0
    for k in range(len(value)):
        old = value[k]
        if old == 0 and not zeros:
            continue
        atom, top, left = atoms[place[k, 0]], place[k, 1], place[k, 2]
        drive = old + _product(residual, atom, top, left)
        new = rule[0] * 0
        if drive > rule[0]:
            new = drive if drive >= rule[2] else (drive - rule[0]) * rule[1]
        if new != old:
            value[k] = new
            _take(residual, atom, top, left, new - old)
            largest = max(largest, abs(new - old))
    return largest


@_compiled
def descend(residual: Array, atoms: Array, place: Array, value: Array, blocks: Array, rule: Array) -> None:
    """Coordinate descent over blocks of neighbouring candidates; changes ``residual`` and ``value`` in place.

    Args:
        residual, atoms, place: as this file says.
        value: ``[n]`` coefficients.
        blocks: starts of the blocks among them, and n.
        rule: size and slope of the threshold, the drive from which on it changes nothing, and the largest change at
            which a sweep is the last one; all of the residual's type.
    """
    for _ in range(_OUTER):
        largest = rule[0] * 0
        for block in range(len(blocks) - 1):
            first, last = blocks[block], blocks[block + 1]
            for inner in range(_INNER):  # zeros are asked again in one sweep of four
                moved = _sweep(residual, atoms, place[first:last], value[first:last], rule, inner % 4 == 0)
                if inner == 0:
                    largest = max(largest, moved)
                if moved <= rule[3]:
                    break
        if largest <= rule[3]:
            break


@_compiled
def subtract(residual: Array, atoms: Array, place: Array, value: Array) -> None:
    """Takes what the coefficients stand for from ``residual``, in place."""
    for k in range(len(value)):
        _take(residual, atoms[place[k, 0]], place[k, 1], place[k, 2], value[k])


@_compiled
def gather(residual: Array, atoms: Array, place: Array, found: Array) -> None:
    """Writes each placed atom's inner product with ``residual`` into ``found`` ``[n]``."""
    for k in range(len(found)):
        found[k] = _product(residual, atoms[place[k, 0]], place[k, 1], place[k, 2])


@_compiled
def candidates(correlation: Array, member: Array, floor: Any) -> Any:
    """For each row of ``[P, M]``: up to EACH atoms that are no members and exceed ``floor``, largest first, else -1.

    Returns:
        ``[P, EACH]`` atoms, and the largest correlation among these (0 if there is none).
    """
    found = np.full((correlation.shape[0], EACH), -1, dtype=np.int64)
    best = np.empty(EACH, dtype=correlation.dtype)
    largest = floor * 0
    for p in range(correlation.shape[0]):
        best[:] = floor
        for m in range(correlation.shape[1]):
            seen = correlation[p, m]
            if seen > best[EACH - 1] and not member[p, m]:
                largest = max(largest, seen)
                at = EACH - 1
                while at > 0 and seen > best[at - 1]:
                    best[at], found[p, at] = best[at - 1], found[p, at - 1]
                    at -= 1
                best[at], found[p, at] = seen, m
    return found, largest
