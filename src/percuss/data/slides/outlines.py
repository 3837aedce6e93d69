"""Outlines of tumours on a slide: read from a file, checked, and fitted to the slide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError, UsageError
from percuss.data.slides import asap, imagescope
from percuss.data.slides.drawn import Curve, Drawn, kind_of
from percuss.data.slides.loops import certain, loops
from percuss.data.slides.xml_file import read_root

Edges = np.ndarray[Any, np.dtype[np.float64]]
#: An outline less than a pixel beyond the slide's edge was rounded there; it is cut off and noted, not an error.
_ROUNDING = 1.0


@dataclass(frozen=True)
class Outlines:
    """What a file says of a slide, in pixels of its largest level.

    Attributes:
        source: name of the file.
        tumour: what the outlines of tumours enclose (shapely geometry; x is the column, y the row).
        cut_out: what is cut out of it.
        region: tumour without the cut-outs.
        edges: the region's border as directed lines x0, y0, x1, y1, float64 ``[N, 4]``, the region on one side.
        notes: what was left out or settled by a rule.
        mended: number of curves that cross themselves.
    """

    source: str
    tumour: Any
    cut_out: Any
    region: Any
    edges: Edges = field(repr=False)
    notes: tuple[str, ...] = ()
    mended: int = 0


def read_outlines(path: Path | str, *, groups: Mapping[str, str] | None = None, mend: bool = False) -> Outlines:
    """The outlines of a file of ASAP (and CAMELYON16) or ImageScope.

    Args:
        path: the XML file.
        groups: what groups stand for beyond those known: name to ``tumour``, ``cut-out`` or ``ignore``.
        mend: take curves that cross themselves with every loop as inside, and say so in ``notes``. Curves that only
            touch themselves enclose the same by any rule and are taken as they are.

    Raises:
        DataError: no such file, another format, an unknown group, a curve that crosses itself, or a point at NaN.
        UsageError: shapely or defusedxml is not installed (extra ``wsi``).
    """
    where = Path(path)
    root = read_root(where)
    if root.tag == asap.ROOT:
        drawn = asap.asap(root, where.name)
    elif root.tag == imagescope.ROOT:
        drawn = imagescope.imagescope(root, where.name)
    else:
        raise DataError(
            "the file holds no outlines of a known format",
            value=f"{where.name}: <{root.tag}>",
            allowed=f"<{asap.ROOT}> of ASAP or <{imagescope.ROOT}> of Aperio ImageScope",
            next_step="export the annotations in one of these forms",
        )
    return _outlines(drawn, groups or {}, source=where.name, mend=mend)


def from_polygons(tumour: Any, cut_out: Any, *, source: str, notes: Sequence[str] = (), mended: int = 0) -> Outlines:
    """Outlines of two shapely geometries, in pixels of the slide's largest level."""
    region = tumour.difference(cut_out)
    return Outlines(source, tumour, cut_out, region, _edges(region), tuple(notes), mended)


def fit(outlines: Outlines, *, height: int, width: int) -> Outlines:
    """The outlines within a slide of this size; what lies partly outside is cut off there and noted.

    Raises:
        DataError: a curve lies wholly outside the slide: the file is of another slide, or of another level.
    """
    shapely = _shapely()
    frame = shapely.box(0, 0, width, height)
    notes: list[str] = []
    kept = []
    for kind, whole in (("tumour", outlines.tumour), ("cut-out", outlines.cut_out)):
        for part in shapely.get_parts(whole).tolist():
            _check_inside(part, frame, outlines.source, size=(height, width))
            outside = part.area - part.intersection(frame).area
            if outside > 1e-6 * part.area:
                notes.append(f"an outline ({kind}) leaves the slide: {outside / part.area:.1%} of its area cut off")
        kept.append(whole.intersection(frame))
    if not notes:
        return outlines
    found = from_polygons(*kept, source=outlines.source, mended=outlines.mended)
    return replace(found, notes=(*outlines.notes, *notes))


def _check_inside(part: Any, frame: Any, source: str, *, size: tuple[int, int]) -> None:
    if part.distance(frame) < _ROUNDING:
        return
    x, y = part.representative_point().coords[0]
    raise DataError(
        f"an outline of {source} lies outside the slide",
        value=f"around column {x:.0f}, row {y:.0f}",
        allowed=f"columns 0 to {size[1]}, rows 0 to {size[0]}, in pixels of the largest level",
        next_step="check that the file belongs to this very slide and counts pixels of its largest level",
    )


def _outlines(drawn: Drawn, groups: Mapping[str, str], *, source: str, mend: bool) -> Outlines:
    shapely = _shapely()
    notes = list(drawn.notes)
    shapes: dict[str, list[Any]] = {"tumour": [], "cut-out": [], "ignore": []}
    mended = 0
    for curve in drawn.curves:
        kind = kind_of(curve, groups, source=source)
        if kind == "ignore":
            continue
        if len(np.unique(curve.points, axis=0)) < 3:
            notes.append(f"{curve.name} has fewer than three points and no area: left out")
            continue
        shape = shapely.Polygon(curve.points)
        if not shape.is_valid:
            shape, told = _met(curve, shape, source, mend=mend)
            notes += [told] if told else []
            mended += bool(told)
        shapes[kind].append(shape)
    if not shapes["tumour"]:
        notes.append(f"{source} holds no outline of a tumour: whatever is not left out counts as normal")
    merged = [shapely.union_all(shapes[kind]) for kind in ("tumour", "cut-out")]
    return from_polygons(*merged, source=source, notes=notes, mended=mended)


def _met(curve: Curve, invalid: Any, source: str, *, mend: bool) -> tuple[Any, str]:
    """Inside of a curve that meets itself and a note, empty where it only touches; DataError where it crosses."""
    from shapely.validation import explain_validity

    found = loops(curve.points)
    shape = _shapely().union_all([piece for piece, _ in found])
    if certain(found):
        return shape, ""
    place = explain_validity(invalid)
    if not mend:
        raise DataError(
            f"the outline {curve.name} of {source} crosses itself",
            value=place,
            allowed="curves without crossings: what such a curve encloses is not certain",
            next_step="mend it where it was drawn, or accept every loop as inside with --mend",
        )
    return shape, f"{curve.name} crosses itself ({place}): every loop taken as inside, {shape.area:.0f} square pixels"


def _edges(region: Any) -> Edges:
    """Every line of the region's border, outer rings in one sense and holes in the other."""
    from shapely.geometry.polygon import orient

    shapely = _shapely()
    found = []
    for part in shapely.get_parts(region).tolist():
        if part.geom_type != "Polygon" or part.is_empty:
            continue
        whole = orient(part)
        for ring in (whole.exterior, *whole.interiors):
            points = np.asarray(ring.coords, np.float64)[:, :2]
            found.append(np.concatenate([points[:-1], points[1:]], 1))
    return np.concatenate(found) if found else np.zeros((0, 4))


def _shapely() -> Any:
    try:
        import shapely
    except ImportError:
        raise UsageError(
            "outlines need the package shapely", next_step='install it with pip install "percuss[wsi]"'
        ) from None
    return shapely
