"""What the readers of LIDC-IDRI drew: the XML of a scan, the area inside a contour, nodules joined over readers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from percuss.core.errors import DataError

#: Places are ``row * WIDE + column``, for images up to this width.
WIDE = 1 << 16
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Contour:
    """A closed line on one slice, just outside of what it encloses.

    Attributes:
        image: SOP Instance UID of the slice.
        z: position as written, in mm, which may not be that of the slice.
        points: (column, row), from 0.
        inclusion: False for a hole.
    """

    image: str
    z: float
    points: tuple[tuple[int, int], ...]
    inclusion: bool


@dataclass(frozen=True)
class Mark:
    """A nodule of 3 mm or more as one reader drew it; malignancy 1 to 5, None where not rated."""

    reader: int
    malignancy: int | None
    contours: tuple[Contour, ...]

    def areas(self) -> dict[str, Places]:
        """Sorted places inside, by slice; slices without any are left out."""
        found: dict[str, Places] = {}
        for contour in sorted(self.contours, key=lambda c: not c.inclusion):
            here = inside(contour.points)
            if contour.inclusion:
                found[contour.image] = np.union1d(found.get(contour.image, here), here)
            elif contour.image in found:
                found[contour.image] = np.setdiff1d(found[contour.image], here)
        return {image: places for image, places in found.items() if len(places)}


@dataclass(frozen=True)
class Scan:
    """The readings of one series: what was drawn, and how many marks were points for nodules below 3 mm."""

    series: str
    marks: tuple[Mark, ...]
    small: int


def parse_scan(path: Path) -> Scan | None:
    """Readings of a CT from its XML; None where the file is of another kind (a chest radiograph's, for one).

    DataError where it is damaged, defines entities, or lacks the series, a slice's UID or a coordinate.
    """
    try:
        content = path.read_bytes()
        # Entities are of no use here, and can make a small file fill the memory.
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise DataError("the XML defines entities", value=path.name, next_step="load the annotations anew")
        root = ET.fromstring(content)
    except (ET.ParseError, OSError, ValueError) as error:
        raise DataError("the annotations cannot be read", value=f"{path.name}: {error}") from error
    if _tag(root) != "LidcReadMessage":
        return None
    try:
        return _scan(root)
    except (KeyError, ValueError) as error:
        raise DataError("the annotations lack a value", value=f"{path.name}: {error}") from error


def _scan(root: ET.Element) -> Scan:
    header = _texts(next(iter(_all(root, "ResponseHeader")), root))
    series = header.get("SeriesInstanceUid") or header["CTSeriesInstanceUid"]
    marks, small = [], 0
    for reader, session in enumerate(_all(root, "readingSession")):
        for nodule in _all(session, "unblindedReadNodule"):
            contours = tuple(_contour(roi) for roi in _all(nodule, "roi"))
            rated = next(iter(_all(nodule, "characteristics")), None)
            text = "" if rated is None else _texts(rated).get("malignancy", "")
            rating = int(text) if text in ("1", "2", "3", "4", "5") else None
            # Nodules below 3 mm are a single point without ratings.
            if rating is None and all(len(contour.points) < 2 for contour in contours):
                small += 1
            else:
                marks.append(Mark(reader, rating, contours))
    return Scan(series, tuple(marks), small)


def _contour(roi: ET.Element) -> Contour:
    texts = _texts(roi)
    points = [(int(float(edge["xCoord"])), int(float(edge["yCoord"]))) for edge in map(_texts, _all(roi, "edgeMap"))]
    return Contour(
        texts["imageSOP_UID"],
        float(texts.get("imageZposition") or "nan"),
        tuple(points),
        texts.get("inclusion", "TRUE").upper() != "FALSE",
    )


def _tag(element: ET.Element) -> str:
    """The name without its namespace, which differs between releases."""
    return element.tag.rpartition("}")[2]


def _all(element: ET.Element, name: str) -> Iterable[ET.Element]:
    return [child for child in element if _tag(child) == name]


def _texts(element: ET.Element) -> dict[str, str]:
    return {_tag(child): (child.text or "").strip() for child in element}


def inside(points: Sequence[tuple[int, int]]) -> Places:
    """Sorted places within a closed line of pixels, which is itself outside; the line where it encloses nothing."""
    if not points:
        return np.zeros(0, dtype=np.int64)
    line = np.array(points, dtype=np.int64)
    low = line.min(0)
    wide, high = (int(side) for side in line.max(0) - low + 1)
    moved = [(int(x), int(y)) for x, y in line - low]
    canvas = Image.new("L", (wide, high), 0)
    if len(moved) > 2:
        ImageDraw.Draw(canvas).polygon(moved, fill=1, outline=1)
    if len(moved) > 1:
        ImageDraw.Draw(canvas).line([*moved, moved[0]], fill=0)
    rows, columns = np.nonzero(np.asarray(canvas))
    if not len(rows):
        return np.unique(line[:, 1] * WIDE + line[:, 0])
    found: Places = np.sort((rows + low[1]) * WIDE + columns + low[0])
    return found


def nodules(marks: Sequence[Mark]) -> list[tuple[int, ...]]:
    """Marks that are one nodule, as indices into ``marks``: at most one of each reader, in the order of the marks.

    Two marks may be one nodule where their areas overlap on a slice (by its UID). Pairs are joined from the largest
    overlap down, as a share of the smaller mark, unless that would put two marks of one reader together: what one
    reader drew apart stays apart.
    """
    areas = [mark.areas() for mark in marks]
    pairs = []
    for first in range(len(marks)):
        for second in range(first + 1, len(marks)):
            if marks[first].reader != marks[second].reader:
                share = _overlap(areas[first], areas[second])
                if share > 0:
                    pairs.append((-share, first, second))
    home = {index: {index} for index, area in enumerate(areas) if area}
    for _, first, second in sorted(pairs):
        one, other = home[first], home[second]
        if one is other or {marks[i].reader for i in one} & {marks[i].reader for i in other}:
            continue
        one |= other
        for index in other:
            home[index] = one
    return sorted({tuple(sorted(members)) for members in home.values()})


def _overlap(first: dict[str, Places], second: dict[str, Places]) -> float:
    shared = sum(len(np.intersect1d(first[image], second[image])) for image in first.keys() & second.keys())
    smaller = min(sum(map(len, first.values())), sum(map(len, second.values())))
    return shared / smaller if smaller else 0.0


@dataclass(frozen=True)
class Slice:
    """The slice on which a nodule is largest, and the places that at least half of its readers drew."""

    image: str
    places: Places


def largest_slice(marks: Sequence[Mark]) -> Slice:
    """Where most places were drawn by at least half of these readers (by any, if no place was drawn by half)."""
    areas = [mark.areas() for mark in marks]
    for least in (len(marks) / 2, 1.0):
        found = []
        for image in {image for area in areas for image in area}:
            places, counts = np.unique(
                np.concatenate([area[image] for area in areas if image in area]), return_counts=True
            )
            found.append((len(places[counts >= least]), image, places[counts >= least]))
        # By UID where two slices are equal, so that the choice is the same each time.
        size, image, kept = max(found, key=lambda item: item[:2])
        if size:
            return Slice(image, kept)
    raise AssertionError("marks without area are no nodules")
