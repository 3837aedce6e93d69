"""A synthetic slide: a pyramidal tiled TIFF with the outlines of its tumours as ASAP XML beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np

from percuss.core.errors import DataError
from percuss.core.seeds import seed_of
from percuss.data.slides.write import needed_tifffile
from percuss.data.tissue.fields import Frame
from percuss.data.tissue.layout import Plan, draw_layout
from percuss.data.tissue.placing import place_nuclei
from percuss.data.tissue.scene import render
from percuss.data.tissue.stains import Floats, draw_stain

_TILE = 256
_SIDES = (256, 4096)
#: Least radius of a tumour in micrometres: below, it may hold no nucleus.
_LEAST_UM = 20.0


@dataclass(frozen=True)
class Outline:
    """A closed curve around a centre, ``radius`` micrometres away in equally spaced directions."""

    centre: tuple[float, float]
    radius: Floats

    def inward(self, rows: Floats, columns: Floats) -> Floats:
        """Distance to the curve along the ray from the centre in micrometres, above 0 inside."""
        down, right = rows - self.centre[0], columns - self.centre[1]
        angle = np.arctan2(down, right) % (2 * np.pi)
        turns = np.linspace(0, 2 * np.pi, len(self.radius) + 1)
        reach = np.interp(angle, turns, np.append(self.radius, self.radius[0]))
        found: Floats = np.asarray(reach) - np.hypot(down, right)
        return found

    def points(self) -> Floats:
        """Row and column in micrometres, ``[N, 2]``."""
        angle = np.linspace(0, 2 * np.pi, len(self.radius), endpoint=False)
        offset: Floats = self.radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
        points: Floats = offset + np.array(self.centre)
        return points


@dataclass(frozen=True)
class Design:
    """What is known of a slide before any pixel is drawn: its size, the curves around its tumours and its tissue."""

    frame: Frame
    tumours: tuple[Outline, ...]
    edge: Outline


@dataclass(frozen=True)
class Drawn:
    """A slide in memory.

    Attributes:
        pixels: uint8 ``[3, height, width]``.
        outlines: of the tumours, (row, column) in pixels, ``[N, 2]`` each.
        masks: nuclei as in a patch, int32 ``[6, height, width]``.
    """

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    outlines: tuple[Floats, ...]
    masks: np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class Slide:
    """What was written.

    Attributes:
        image: the TIFF; each level halves the one before.
        outlines_file: the ASAP XML, or None for a slide without tumour.
        outlines: (row, column) in pixels of the largest level, ``[N, 2]`` each.
        masks: nuclei of the largest level as in a patch, ``[6, height, width]``.
    """

    image: Path
    outlines_file: Path | None
    outlines: tuple[Floats, ...]
    masks: np.ndarray[Any, np.dtype[np.int32]]


def write_slide(path: Path | str, seed: int = 0, *, side: int = 2048, tumours: int = 1, mpp: float = 0.5) -> Slide:
    """Draw a slide and write it with the outlines of its tumours (``NAME.xml`` beside ``NAME.tif``).

    Every neoplastic nucleus has its centre inside an outline. The whole slide is held in memory: see ``draw_slide``.

    Args:
        path: the TIFF to write; its folder is made.
        seed: another seed, another slide.
        side: height and width in pixels, 256 to 4096, a multiple of 256.
        tumours: number of tumours, 0 to 4.
        mpp: micrometres per pixel, 0.1 to 2, stored as the TIFF's resolution.

    Raises:
        UsageError: tifffile is not installed (extra ``wsi``).
        DataError: side, tumours or mpp is out of its range, or the file cannot be written.
    """
    check_slide(side, tumours, mpp)
    tifffile = needed_tifffile()
    drawn = draw_slide(seed, side=side, tumours=tumours, mpp=mpp)
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_levels(tifffile, target, drawn.pixels, mpp=mpp)
        beside = target.with_suffix(".xml") if drawn.outlines else None
        if beside is not None:
            beside.write_bytes(asap_xml(drawn.outlines))
    except OSError as error:
        raise DataError("the slide cannot be written", value=f"{target}: {error}") from error
    return Slide(target, beside, drawn.outlines, drawn.masks)


def design_slide(seed: int, *, side: int, tumours: int, mpp: float) -> Design:
    """The curves of a slide, as ``draw_slide`` fills them; takes no time."""
    return _design(_generator(seed, side, tumours, mpp=mpp), Frame(side, side, mpp), tumours)


def draw_slide(seed: int, *, side: int, tumours: int, mpp: float) -> Drawn:
    """Draw a slide in memory; the arguments are those of ``write_slide``.

    2048 pixels take about 1 GB and 10 s, four times as much for twice the side.

    Raises:
        DataError: side, tumours or mpp is out of its range.
    """
    check_slide(side, tumours, mpp)
    rng, frame = _generator(seed, side, tumours, mpp=mpp), Frame(side, side, mpp)
    design = _design(rng, frame, tumours)
    plan = Plan({"stroma": 0.9, "gland": 0.9, "lymphoid": 0.2, "fat": 0.3, "nest": 0.0, "glass": 0.0}, scale_um=110)
    rows, columns = frame.axes()
    nest = np.full(frame.shape, -12.0, np.float32)
    for outline in design.tumours:
        # Deep inside nests prevail with some stroma between; none reaches the curve itself.
        nest = np.maximum(nest, np.clip((outline.inward(rows, columns) - 6) / 3, -12, 3.4).astype(np.float32))
    glass = np.clip(-design.edge.inward(rows, columns) / 3, -12, 12).astype(np.float32)
    layout = draw_layout(rng, frame, plan, pull={"nest": nest - np.maximum(glass, 0), "glass": glass})
    nuclei = place_nuclei(rng, frame, layout, plan=plan)
    scene = render(rng, frame, layout, nuclei=nuclei, stain=draw_stain(rng))
    return Drawn(scene.pixels, tuple(outline.points() / mpp for outline in design.tumours), scene.masks)


def _generator(seed: int, side: int, tumours: int, *, mpp: float) -> np.random.Generator:
    return np.random.default_rng(seed_of("slide-1", seed, side, tumours, mpp))


def _design(rng: np.random.Generator, frame: Frame, tumours: int) -> Design:
    inside = tuple(_tumours(rng, frame, tumours))
    return Design(
        frame, inside, _outline(rng, (frame.extent[0] / 2, frame.extent[1] / 2), 0.46 * min(frame.extent), waves=0.03)
    )


def asap_xml(outlines: Sequence[Floats]) -> bytes:
    """Outlines ``[N, 2]`` (row, column in pixels) in the annotation format of ASAP, one polygon each."""
    root = ElementTree.Element("ASAP_Annotations")
    annotations = ElementTree.SubElement(root, "Annotations")
    for number, outline in enumerate(outlines):
        item = ElementTree.SubElement(
            annotations, "Annotation", Name=f"Tumour {number}", Type="Polygon", PartOfGroup="tumor", Color="#F4FA58"
        )
        corners = ElementTree.SubElement(item, "Coordinates")
        for order, (row, column) in enumerate(outline.tolist()):
            ElementTree.SubElement(corners, "Coordinate", Order=str(order), X=f"{column:.2f}", Y=f"{row:.2f}")
    groups = ElementTree.SubElement(root, "AnnotationGroups")
    ElementTree.SubElement(groups, "Group", Name="tumor", PartOfGroup="None", Color="#F4FA58")
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def check_slide(side: int, tumours: int, mpp: float) -> None:
    """DataError where a slide of this side (pixels), number of tumours and resolution cannot be drawn."""
    if not _SIDES[0] <= side <= _SIDES[1] or side % _TILE:
        raise DataError(
            "the side of a slide must be a multiple of 256", value=side, allowed=f"{_SIDES[0]} to {_SIDES[1]}"
        )
    if not 0 <= tumours <= 4:
        raise DataError("a slide cannot hold this many tumours", value=tumours, allowed="0 to 4")
    if not 0.1 <= mpp <= 2:
        raise DataError("mpp must be micrometres per pixel", value=mpp, allowed="0.1 to 2, for instance 0.5")
    least = _radii(tumours)[0] * side * mpp
    if tumours and least < _LEAST_UM:
        raise DataError(
            "the slide is too small for its tumours",
            value=f"side={side} at mpp={mpp:g} with tumours={tumours}: a radius of {least:.0f} micrometres",
            allowed=f"tumours with a radius of {_LEAST_UM:g} micrometres or more",
            next_step="give a larger side or mpp, or fewer tumours",
        )


def _radii(tumours: int) -> tuple[float, float]:
    """Smallest and largest radius of a tumour as a share of the slide's side."""
    return (0.10, 0.13) if tumours > 1 else (0.15, 0.22)


def _outline(rng: np.random.Generator, centre: tuple[float, float], size: float, *, waves: float) -> Outline:
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    order = np.arange(2, 9)[:, None]
    height = rng.normal(0, waves, 7)[:, None] * (2 / order)
    wave = (height * np.cos(order * angle + rng.uniform(0, 2 * np.pi, 7)[:, None])).sum(0)
    return Outline(centre, size * np.clip(1 + wave, 0.5, 1.4))


def _tumours(rng: np.random.Generator, frame: Frame, count: int) -> list[Outline]:
    """Tumours in different quarters of the slide."""
    height, width = frame.extent
    quarters = rng.permutation(4)[:count].tolist()
    size = min(height, width)
    found = []
    for quarter in quarters:
        place = np.array([0.36 + 0.28 * (quarter // 2), 0.36 + 0.28 * (quarter % 2)]) + rng.uniform(-0.03, 0.03, 2)
        radius = size * float(rng.uniform(*_radii(count)))
        found.append(_outline(rng, (float(place[0] * height), float(place[1] * width)), radius, waves=0.08))
    return found


def _write_levels(tifffile: ModuleType, path: Path, pixels: np.ndarray[Any, Any], *, mpp: float) -> None:
    """Tiles of 256 pixels, losslessly packed, as separate directories, which OpenSlide and ASAP read."""
    level = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    with tifffile.TiffWriter(path, bigtiff=False) as writer:
        step = 1
        while True:
            per_cm = 1e4 / (mpp * step)
            writer.write(
                level,
                tile=(_TILE, _TILE),
                photometric="rgb",
                compression="adobe_deflate",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=0 if step == 1 else 1,
                metadata=None,
            )
            if level.shape[0] <= _TILE:
                return
            # Rounded means of two by two pixels.
            even = level[: level.shape[0] // 2 * 2, : level.shape[1] // 2 * 2].astype(np.uint16)
            level = ((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2] + 2) // 4).astype(np.uint8)
            step *= 2
