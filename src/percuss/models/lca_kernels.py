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
_INNER = 8
# Sums may be regrouped into vector registers; nothing else of the arithmetic is loosened.
_FAST = {"reassoc", "contract", "nsz"}

Array = NDArray[Any]
Compiled = Callable[..., Any]


def _compiled(loop: Compiled) -> Compiled:
    """The loop as machine code, kept on disk where a folder for it can be written."""
    try:
        return cast("Compiled", numba.njit(cache=True, nogil=True, fastmath=_FAST)(loop))
    except RuntimeError:  # no folder can be written: compile in every process
        return cast("Compiled", numba.njit(nogil=True, fastmath=_FAST)(loop))


@_compiled
def _product(residual: Array, atom: Array, top: int, left: int) -> Any:
    """The inner product of an atom with the residual under it; four rows at once, which is a third faster."""
    found, end = residual[0, 0] * 0, left + atom.shape[1]
    fours = atom.shape[0] // 4 * 4
    for i in range(0, fours, 4):
        one, two = residual[top + i, left:end], residual[top + i + 1, left:end]
        three, four = residual[top + i + 2, left:end], residual[top + i + 3, left:end]
        a, b, c, d = atom[i], atom[i + 1], atom[i + 2], atom[i + 3]
        total = one[0] * 0
        for j in range(len(a)):
            total += one[j] * a[j] + two[j] * b[j] + three[j] * c[j] + four[j] * d[j]
        found += total
    for i in range(fours, atom.shape[0]):
        line, row = residual[top + i, left:end], atom[i]
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
def descend(  # noqa: PLR0913, PLR0917
    residual: Array, atoms: Array, place: Array, value: Array, blocks: Array, dirty: Array, rule: Array
) -> Any:
    """One visit to each dirty block: some sweeps over its coefficients; ``residual`` and ``value`` change in place.

    A visited block is clean, unless its last sweep still moved something by more than the goal; the eight blocks around
    it are dirty if any sweep did.

    Args:
        residual, atoms, place: as this file says.
        value: ``[n]`` coefficients.
        blocks: ``[B, 4]``: where each block begins and ends among them, and its row and column in ``dirty``.
        dirty: bool, with a margin of one block on each side; changes in place.
        rule: size and slope of the threshold, the drive from which on it changes nothing, and the goal: a change that
            need not be followed up; all of the residual's type.

    Returns:
        Whether any block moved something by more than the goal.
    """
    lively = False
    for b in range(len(blocks)):
        first, last, y, x = blocks[b, 0], blocks[b, 1], blocks[b, 2], blocks[b, 3]
        if not dirty[y, x]:
            continue
        dirty[y, x] = False
        largest = rule[0] * 0
        moved = largest
        for inner in range(_INNER):  # zeros are asked again in one sweep of four
            moved = _sweep(residual, atoms, place[first:last], value[first:last], rule, inner % 4 == 0)
            largest = max(largest, moved)
            if moved <= rule[3]:
                break
        if largest > rule[3]:
            lively = True
            for i in range(y - 1, y + 2):
                for j in range(x - 1, x + 2):
                    if i != y or j != x:
                        dirty[i, j] = True
        if moved > rule[3]:
            dirty[y, x] = True
    return lively


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
def _ranked(best: Array, found: Array, seen: Any, atom: int) -> None:
    """Puts an atom in its place among the best, whose last one falls out."""
    at = EACH - 1
    while at > 0 and seen > best[at - 1]:
        best[at], found[at] = best[at - 1], found[at - 1]
        at -= 1
    best[at], found[at] = seen, atom


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
                _ranked(best, found[p], seen, m)
    return found, largest


@_compiled
def doubtful(correlation: Array, moved: Array, floor: Any) -> Any:
    """How many of ``[P, M]`` correlations could exceed ``floor`` after a change of at most ``moved`` ``[P]``."""
    found = 0
    for p in range(correlation.shape[0]):
        least = floor - moved[p]
        for m in range(correlation.shape[1]):
            found += correlation[p, m] > least
    return found


@_compiled
def screened(  # noqa: PLR0913, PLR0917
    residual: Array, atoms: Array, spot: Array, old: Array, member: Array, moved: Array, floor: Any
) -> Any:
    """``candidates`` of the residual's own correlations, of which only those in doubt are worked out.

    Args:
        residual, atoms: as this file says.
        spot: ``[P, 2]``: the row of the residual, and the first value in it, of each place.
        old: ``[P, M]`` correlations with an earlier residual.
        member: ``[P, M]``.
        moved: ``[P]``: none of a place's correlations can have changed by more.
        floor: as for ``candidates``.
    """
    found = np.full((old.shape[0], EACH), -1, dtype=np.int64)
    best = np.empty(EACH, dtype=old.dtype)
    largest = floor * 0
    for p in range(old.shape[0]):
        best[:] = floor
        for m in range(old.shape[1]):
            if old[p, m] + moved[p] > best[EACH - 1] and not member[p, m]:
                seen = _product(residual, atoms[m], spot[p, 0], spot[p, 1])
                if seen > best[EACH - 1]:
                    largest = max(largest, seen)
                    _ranked(best, found[p], seen, m)
    return found, largest
