"""Outlines as ASAP writes them, and CAMELYON16 with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from percuss.core.errors import DataError
from percuss.data.slides.drawn import Curve, Drawn
from percuss.data.slides.xml_file import number

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROOT = "ASAP_Annotations"
_AREAS = ("polygon", "rectangle", "spline")
_NO_AREAS = ("dot", "pointset", "measurement", "none")


def asap(root: Element, source: str) -> Drawn:
    """Every annotation with an area, its points in the order of their numbers.

    A spline is taken by its corners, joined by straight lines, and noted; points and measurements have no area and
    are left out with a note.

    Raises:
        DataError: a type of annotation that nobody knows, or a point without numbers.
    """
    curves: list[Curve] = []
    notes: list[str] = []
    for place, item in enumerate(root.iter("Annotation")):
        name = item.get("Name") or f"number {place}"
        kind = (item.get("Type") or "").lower()
        where = f"the outline {name} of {source}"
        if kind in _NO_AREAS:
            notes.append(f"{name} is a {kind} and has no area: left out")
            continue
        if kind not in _AREAS:
            raise DataError(
                f"{where} is of an unknown type",
                value=item.get("Type"),
                allowed="Polygon, Rectangle or Spline; Dot, PointSet and Measurement are left out",
                next_step="draw it as a polygon and export again",
            )
        if kind == "spline":
            notes.append(f"{name} is a spline: taken by its corners")
        corners = sorted(item.iter("Coordinate"), key=lambda corner: number(corner, "Order", where))
        points = [(number(corner, "X", where), number(corner, "Y", where)) for corner in corners]
        curves.append(Curve(name, item.get("PartOfGroup") or "", np.array(points, np.float64).reshape(-1, 2)))
    return Drawn(tuple(curves), tuple(notes))
