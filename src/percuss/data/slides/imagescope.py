"""Outlines as Aperio ImageScope writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from percuss.core.errors import DataError
from percuss.data.slides.drawn import Curve, Drawn
from percuss.data.slides.xml_file import number

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROOT = "Annotations"
_FREEHAND, _RECTANGLE, _ELLIPSE = "0", "1", "2"
_NO_AREAS = {"3": "arrow", "4": "ruler"}
#: Corners of the polygon that stands for an ellipse: its area is 0.04 % below the ellipse's.
_CORNERS = 128


def imagescope(root: Element, source: str) -> Drawn:
    """Every region with an area; the group of a region is the name of its layer, or the layer's Id where it has none.

    Regions of type 0 (freehand), 1 (rectangle) and 2 (ellipse within its vertices' box) are areas; arrows and rulers
    are left out with a note. ``NegativeROA="1"`` marks a cut-out.

    Raises:
        DataError: a type of region that nobody knows, or a vertex without numbers.
    """
    curves: list[Curve] = []
    notes: list[str] = []
    for layer in root.iter("Annotation"):
        group = (layer.get("Name") or "").strip() or (layer.get("Id") or "").strip()
        for place, region in enumerate(layer.iter("Region")):
            name = f"{group}/{region.get('Id') or place}"
            where = f"the region {name} of {source}"
            kind = region.get("Type") or _FREEHAND
            if kind in _NO_AREAS:
                notes.append(f"{name} is a {_NO_AREAS[kind]} and has no area: left out")
                continue
            points = [(number(v, "X", where), number(v, "Y", where)) for v in region.iter("Vertex")]
            curves.append(Curve(name, group, _curve(points, kind, where), region.get("NegativeROA") == "1"))
    return Drawn(tuple(curves), tuple(notes))


def _curve(points: list[tuple[float, float]], kind: str, where: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    found: np.ndarray[Any, np.dtype[np.float64]] = np.array(points, np.float64).reshape(-1, 2)
    if kind == _FREEHAND or (kind == _RECTANGLE and len(found) > 2) or len(found) < 2:
        return found
    if kind not in (_RECTANGLE, _ELLIPSE):
        raise DataError(
            f"{where} is of an unknown type",
            value=kind,
            allowed="0 freehand, 1 rectangle, 2 ellipse; 3 arrow and 4 ruler are left out",
            next_step="draw it with the pen and export again",
        )
    low, high = found.min(0), found.max(0)
    if kind == _RECTANGLE:
        return np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    found = (low + high) / 2 + (high - low) / 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return found
