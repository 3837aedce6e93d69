"""Where nuclei lie: by compartment, along fibres, around lumens."""

from __future__ import annotations

import numpy as np

from percuss.data.tissue.fields import Frame, Lattice, lattice
from percuss.data.tissue.layout import (
    FAT,
    GLAND,
    LYMPHOID,
    NECROSIS,
    NEST,
    STROMA,
    Layout,
    Plan,
    gland_radii,
    oval,
)
from percuss.data.tissue.nuclei import CONNECTIVE, DEAD, EPITHELIAL, INFLAMMATORY, NEOPLASTIC, Ints, Nuclei, draw_nuclei
from percuss.data.tissue.stains import Floats

_Places = tuple[Floats, Ints, Floats]
_MARGIN_UM = 9.0


def place_nuclei(rng: np.random.Generator, frame: Frame, layout: Layout, *, plan: Plan) -> Nuclei:
    """Nuclei of the whole patch, a margin beyond its edge included so that they may be cut by it."""
    groups = [
        _nests(rng, frame, layout),
        _glands(rng, frame, layout),
        _scattered(rng, frame, layout, plan),
        _lymphoid(rng, frame, layout),
        _stroma(rng, frame, layout, plan),
    ]
    points, kind, angle = (np.concatenate(parts) for parts in zip(*groups, strict=True))
    inside = ((points > -_MARGIN_UM) & (points < np.array(frame.extent) + _MARGIN_UM)).all(1)
    return draw_nuclei(rng, points[inside], kind[inside], angle=angle[inside], grade=plan.grade)


def _at(frame: Frame, field: np.ndarray[tuple[int, ...], np.dtype[np.generic]], points: Floats) -> Floats:
    row, column = frame.pixel(points).T
    found: Floats = field[row, column]
    return found


def _of(points: Floats, kind: Ints | int, angle: Floats) -> _Places:
    return points, np.broadcast_to(np.asarray(kind, np.int64), len(points)).copy(), angle


def _none() -> _Places:
    return _of(np.zeros((0, 2)), 0, np.zeros(0))


def _grid(rng: np.random.Generator, frame: Frame, spacing: float, jitter: float = 0.75) -> Floats:
    return lattice(rng, frame, spacing, jitter=jitter).points().astype(np.float64)


def _nests(rng: np.random.Generator, frame: Frame, layout: Layout) -> _Places:
    """Neoplastic nuclei in the cells of the nests; few are dead, some places hold a lymphocyte."""
    if layout.cells is None:
        return _none()
    points = layout.cells[0].points().astype(np.float64)
    draw, angle = rng.random(len(points)), rng.uniform(0, np.pi, len(points))
    here = (_at(frame, layout.where, points) == NEST) & (_at(frame, layout.holes, points) < 0.35) & (draw < 0.97)
    kind = np.select([draw < 0.025, draw < 0.06], [DEAD, INFLAMMATORY], NEOPLASTIC)
    return _of(points[here], kind[here], angle[here])


def _glands(rng: np.random.Generator, frame: Frame, layout: Layout) -> _Places:
    """Epithelial nuclei side by side near the base of each gland, pointing to its lumen."""
    if layout.glands is None:
        return _none()
    cells: Lattice = layout.glands[0]
    outer, _, phase = gland_radii(cells)
    found = []
    for centre, radius, turn in zip(cells.points(), outer.ravel(), phase.ravel(), strict=True):
        if (centre < -45).any() or (centre > np.array(frame.extent) + 45).any():
            continue
        count = max(6, round(2 * np.pi * (radius - 4.6) / 5.6))
        angle = 2 * np.pi * (np.arange(count) + rng.normal(0, 0.09, count) + rng.random()) / count
        reach = radius * oval(np.asarray(turn), angle) - 5.0 + rng.normal(0, 0.7, count)
        offset = np.stack([np.sin(angle), np.cos(angle)], 1) * reach[:, None]
        found.append((centre + offset, angle))
    if not found:
        return _none()
    points, angle = np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])
    here = _at(frame, layout.where, points) == GLAND
    return _of(points[here], EPITHELIAL, angle[here] + rng.normal(0, 0.15, int(here.sum())))


def _scattered(rng: np.random.Generator, frame: Frame, layout: Layout, plan: Plan) -> _Places:
    """Dead nuclei in necrosis with dust around them; inflammatory nuclei come there too."""
    points = _grid(rng, frame, 9.5, 0.9)
    here = (_at(frame, layout.where, points) == NECROSIS) & (rng.random(len(points)) < 0.55)
    points = points[here]
    draw = rng.random(len(points))
    kind = np.where(draw < 0.75 - 0.5 * plan.infiltrate, DEAD, INFLAMMATORY)
    return _of(points, kind, rng.uniform(0, np.pi, len(points)))


def _lymphoid(rng: np.random.Generator, frame: Frame, layout: Layout) -> _Places:
    points = _grid(rng, frame, 7.4, 0.7)
    here = (_at(frame, layout.where, points) == LYMPHOID) & (rng.random(len(points)) < 0.9)
    points = points[here]
    return _of(points, INFLAMMATORY, rng.uniform(0, np.pi, len(points)))


def _stroma(rng: np.random.Generator, frame: Frame, layout: Layout, plan: Plan) -> _Places:
    """Spindle nuclei along the fibres (also between glands and in walls of fat), and wandering lymphocytes."""
    points = _grid(rng, frame, 9.0, 0.95)
    where = _at(frame, layout.where, points)
    free = (where == STROMA) | ((where == GLAND) & ~_in_gland(frame, layout, points))
    if layout.fat is not None:
        wall = layout.fat[1].second - layout.fat[1].first
        free |= (where == FAT) & (_at(frame, wall, points) < 2.0)
    # Clefts between bundles hold no nucleus.
    free &= _at(frame, layout.fibres.bundles, points) > -1.0
    draw = rng.random(len(points))
    kind = np.where(draw < plan.infiltrate * 0.6, INFLAMMATORY, CONNECTIVE)
    here = free & (draw < plan.infiltrate * 0.6 + 0.42)
    angle = _at(frame, layout.fibres.angle, points) + rng.normal(0, 0.18, len(points))
    return _of(points[here], kind[here], angle[here])


def _in_gland(frame: Frame, layout: Layout, points: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if layout.glands is None:
        return np.zeros(len(points), bool)
    cells, near = layout.glands
    outer = gland_radii(cells)[0][near.row, near.column]
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = _at(frame, near.first - outer, points) < 3.5
    return found
