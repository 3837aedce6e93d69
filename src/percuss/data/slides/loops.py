"""What a closed curve encloses where it meets itself: its loops, each with how often the curve runs round it."""

from __future__ import annotations

from typing import Any

import numpy as np


def loops(points: np.ndarray[Any, np.dtype[np.float64]]) -> list[tuple[Any, int]]:
    """Pieces of the plane (shapely polygons) that a closed curve ``[N, 2]`` divides, with their winding numbers.

    Pieces that it runs round zero times are left out: they are outside.
    """
    import shapely
    from shapely.ops import polygonize

    ring = shapely.LineString(np.concatenate([points, points[:1]]))
    found = []
    for piece in polygonize(shapely.union_all([ring])):
        inside = piece.representative_point()
        turns = winding(points, (inside.x, inside.y))
        if turns:
            found.append((piece, turns))
    return found


def winding(points: np.ndarray[Any, np.dtype[np.float64]], place: tuple[float, float]) -> int:
    """How often a closed curve ``[N, 2]`` runs round a point that is not on it."""
    away = points - np.array(place)
    angle = np.arctan2(away[:, 1], away[:, 0])
    step = np.diff(np.append(angle, angle[0]))
    return round(float(((step + np.pi) % (2 * np.pi) - np.pi).sum() / (2 * np.pi)))


def certain(found: list[tuple[Any, int]]) -> bool:
    """Whether the inside is beyond doubt: the curve may touch itself, but runs round every piece once, one way."""
    return {turns for _, turns in found} in ({1}, {-1})
