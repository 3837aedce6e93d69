"""What decides the tiles of a slide: the settings of percuss tile, and what is known of each slide."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from percuss.core.errors import UsageError, nearest

#: Settings that may differ from slide to slide in one folder; a slide is cut again where its own have changed.
OF_A_SLIDE = ("slide_mpp", "reader", "groups", "mend", "values")
TISSUE = ("otsu", "paper", "all")
EDGES = ("drop", "pad")
_SHARE = 0.25


@dataclass(frozen=True)
class TilePlan:
    """Settings that decide which tiles there are and what they hold.

    Attributes:
        mpp: resolution of the tiles in micrometres per pixel.
        size: side of a tile in pixels.
        stride: pixels from one tile to the next; ``size`` where None.
        cell: side of a cell in pixels.
        rule: when a cell is tumour: ``half`` of its area, or ``any`` of it.
        tissue: which tiles are kept: ``otsu``, ``paper`` or ``all``.
        min_tissue: with ``otsu``, the share of tissue from which a tile is kept; 0.25 where None.
        edges: tiles that reach beyond the slide: ``drop`` them, or ``pad`` with white that nobody judges.
        slide_mpp: micrometres per pixel of the slides' largest level, for slides that do not say.
        reader: of slides, as ``open_slide`` knows them.
        groups: what groups of outlines stand for beyond those known, ``NAME=tumour|cut-out|ignore`` each.
        mend: take outlines that cross themselves with every loop as inside.
        values: what the values of masks stand for, as ``0=normal,1=tumour``; needed where there are masks.
    """

    mpp: float
    size: int
    stride: int | None = None
    cell: int = 4
    rule: str = "half"
    tissue: str = "otsu"
    min_tissue: float | None = None
    edges: str = "drop"
    slide_mpp: float | None = None
    reader: str = "auto"
    groups: tuple[str, ...] = ()
    mend: bool = False
    values: str | None = None

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.size if self.stride is None else self.stride

    @property
    def share(self) -> float:
        """Share of tissue from which a tile is kept by Otsu's rule."""
        return _SHARE if self.min_tissue is None else self.min_tissue

    @property
    def key(self) -> str:
        """SHA-256 (hex) of the settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def shared(self) -> dict[str, Any]:
        """The settings that all slides of a folder share, as JSON gives them back."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {name: value for name, value in found.items() if name not in OF_A_SLIDE}

    def of_slide(self) -> dict[str, Any]:
        """The settings that may differ from slide to slide, as JSON gives them back."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {name: found[name] for name in OF_A_SLIDE}


@dataclass(frozen=True)
class SlideJob:
    """A slide to cut.

    Attributes:
        name: its folder among the tiles, and its group.
        path: the file (of DICOM also a folder).
        annotation: XML of outlines or TIFF of a mask, None where there is none.
        normal: known to hold no tumour.
        partial: its tumour is not outlined everywhere, so that nothing outside the outlines is known.
        outside: what lies outside the outlines counts as normal all the same, though the slide is ``partial``.
        notes: what is known of the slide beforehand.
    """

    name: str
    path: Path
    annotation: Path | None = None
    normal: bool = False
    partial: bool = False
    outside: bool = False
    notes: tuple[str, ...] = ()

    @property
    def annotated(self) -> str:
        """``exhaustive``, ``partial`` or ``none``."""
        if self.annotation is None and not self.normal:
            return "none"
        return "partial" if self.partial else "exhaustive"


@dataclass(frozen=True)
class Place:
    """A tile: row and column of its upper left corner in pixels of the view, and in pixels of the largest level."""

    row: int
    column: int
    row0: int
    column0: int


@dataclass(frozen=True)
class Survey:
    """What is known of a slide before its tiles are cut: its record for the manifest, and the tiles to keep."""

    job: SlideJob
    record: dict[str, Any]
    places: tuple[Place, ...] = field(repr=False)


def check_plan(plan: TilePlan) -> None:
    """UsageError naming the option where a setting has no meaning."""
    from percuss.data.slides.cells import RULES, check_cell
    from percuss.data.slides.drawn import read_groups
    from percuss.data.slides.mask_pyramid import read_values
    from percuss.data.slides.open import READERS

    for name, value in (("--mpp", plan.mpp), ("--slide-mpp", plan.slide_mpp)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name} must be micrometres per pixel", value=value, allowed="above 0, for instance 1.0")
    if plan.size < 1 or plan.step < 1:
        raise UsageError("tiles need a size and a stride", value=f"{plan.size}, {plan.step}", allowed="1 or more")
    check_cell(plan.size, plan.cell)
    for name, found, known in (
        ("--rule", plan.rule, RULES),
        ("--tissue", plan.tissue, TISSUE),
        ("--edges", plan.edges, EDGES),
        ("--reader", plan.reader, READERS),
    ):
        _one_of(name, found, known)
    if plan.min_tissue is not None and plan.tissue != "otsu":
        raise UsageError("--min-tissue goes with --tissue otsu", value=f"--tissue {plan.tissue}")
    if not 0 < plan.share <= 1:
        raise UsageError("--min-tissue must be a share", value=plan.min_tissue, allowed="above 0 to 1")
    read_groups(plan.groups)
    if plan.values is not None:
        read_values(plan.values)


def _one_of(name: str, found: str, known: Sequence[str]) -> None:
    if found not in known:
        raise UsageError(f"{name} has an unknown value", value=found, allowed=nearest(found, known))
