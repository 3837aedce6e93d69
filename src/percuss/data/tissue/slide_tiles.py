"""synthetic:slides, whole slides drawn when read and cut into tiles, with the truth of every cell: task heatmap."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.core.seeds import seed_of
from percuss.data.options import check_names, choice, spec_text, whole
from percuss.data.slides.cells import area_shares, decided
from percuss.data.splits import check_entries, choose
from percuss.data.tissue.slide import Design, check_slide, design_slide, draw_slide

OPTIONS = ("task", "slides", "side", "size", "mpp", "cell", "tumours", "seed")
CLASSES = ("normal", "tumour")
#: Raised whenever the same options would draw another tile.
RECIPE = "slides-1"
#: A tile this far beyond the curve of the tissue, in micrometres, shows glass and at most some fringe.
_FRAY_UM = 3.0

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Settings:
    """The options: slides, their side and that of tiles and cells in pixels, micrometres per pixel, tumours, seed."""

    slides: int = 6
    side: int = 1024
    size: int = 128
    mpp: float = 1.0
    cell: int = 4
    tumours: int = 1
    seed: int = 0


class _Latest:
    """The slide drawn last: tiles of one slide are read together, and several slides would fill the memory."""

    def __init__(self) -> None:
        self.name, self.pixels = "", np.zeros((3, 0, 0), np.uint8)


class SlideTiles(ImageSet):
    """Tiles of slides that are drawn when a tile is read, each slide from a seed of its own.

    ``cell`` is the side of a cell in pixels. One slide is held in memory at a time, by a set and its subsets together:
    reading tiles slide by slide draws each slide once.
    """

    def __init__(
        self, spec: str, settings: Settings, entries: Sequence[Entry], *, latest: _Latest | None = None
    ) -> None:
        super().__init__(spec, "heatmap", CLASSES, entries)
        self.settings, self.cell, self._latest = settings, settings.cell, latest or _Latest()

    def read(self, case_id: str) -> Case:
        """One tile uint8 ``[3, size, size]``; target uint8 ``[size / cell, size / cell]``: 1 where tumour, else 0."""
        entry, use = self.entry(case_id), self.settings
        assert entry.group is not None
        if self._latest.name != entry.group:
            tumours = _tumours(use, entry.group)
            drawn = draw_slide(_seed(use, entry.group), side=use.side, tumours=tumours, mpp=use.mpp)
            self._latest.name, self._latest.pixels = entry.group, drawn.pixels
        row, column = _corner(case_id, use.size)
        pixels = self._latest.pixels[:, row : row + use.size, column : column + use.size].copy()
        target = _truth(_design(use, entry.group), use, row, column)
        spacing = (use.mpp / 1000, use.mpp / 1000)
        return Case(case_id, pixels, PixelRange(0, 255), target, group=entry.group, spacing_mm=spacing)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the recipe: its version, the settings that decide the tile, and its id."""
        use, entry = self.settings, self.entry(case_id)
        assert entry.group is not None
        drawn = (use.side, use.size, use.mpp, use.cell, _tumours(use, entry.group), use.seed)
        return hashlib.sha256(repr((RECIPE, drawn, entry.id)).encode()).hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> SlideTiles:
        """The same set limited to a split or to some ids, order kept."""
        return SlideTiles(self.spec, self.settings, choose(self.entries, split, ids), latest=self._latest)


def open_slides(options: Mapping[str, str]) -> SlideTiles:
    """Tiles of synthetic slides, split 60:20:20 by slide; each split begins with a slide that holds tumour.

    Options: ``slides`` (3 to 1000), ``side`` of a slide (256 to 4096, a multiple of 256), ``size`` of a tile and
    ``cell`` in pixels (``size`` a multiple of ``cell``), ``mpp`` (micrometres per pixel, 0.1 to 2), ``tumours`` of each
    slide that has any (1 to 4), ``seed``, ``task=heatmap``, which they have in any case.
    DataError where one is unknown or out of its range.
    """
    check_names(options, OPTIONS, "synthetic:slides")
    choice(options, "task", ("heatmap",))
    use = _settings(options)
    names = _names(use)
    split = _splits(use)
    entries = [entry for name in names for entry in _entries(use, name, split[name])]
    check_entries(entries)
    return SlideTiles(spec_text("synthetic", "slides", options), use, entries)


def _settings(options: Mapping[str, str]) -> Settings:
    asked = {
        "slides": whole(options, "slides", low=3, high=1000),
        "side": whole(options, "side", low=256, high=4096),
        "size": whole(options, "size", low=32, high=4096),
        "cell": whole(options, "cell", low=1, high=64),
        "tumours": whole(options, "tumours", low=1, high=4),
        "seed": whole(options, "seed", low=0, high=2**31 - 1),
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if "mpp" in options:
        try:
            given["mpp"] = float(options["mpp"])
        except ValueError:
            given["mpp"] = 0.0  # refused below
    use = Settings(**given)
    check_slide(use.side, use.tumours, use.mpp)
    if use.size % use.cell or use.size > use.side:
        raise DataError(
            "the side of a tile must be whole cells, and no more than the slide",
            value=f"size={use.size} with cell={use.cell} and side={use.side}",
            allowed=f"multiples of {use.cell} up to {use.side}",
        )
    return use


def _names(use: Settings) -> list[str]:
    digits = max(2, len(str(use.slides)))
    return [f"S{number + 1:0{digits}d}" for number in range(use.slides)]


def _order(use: Settings) -> list[str]:
    return sorted(_names(use), key=lambda name: seed_of(RECIPE, use.seed, "split", name))


def _splits(use: Settings) -> dict[str, str]:
    part = max(1, round(0.2 * use.slides))
    return {name: "test" if i < part else "val" if i < 2 * part else "train" for i, name in enumerate(_order(use))}


def _tumours(use: Settings, name: str) -> int:
    """Tumours of a slide: every third of a split has none, never the first two."""
    split = _splits(use)
    mates = [other for other in _order(use) if split[other] == split[name]]
    return 0 if mates.index(name) % 3 == 2 else use.tumours


def _seed(use: Settings, name: str) -> int:
    return seed_of(RECIPE, use.seed, name)


def _design(use: Settings, name: str) -> Design:
    return design_slide(_seed(use, name), side=use.side, tumours=_tumours(use, name), mpp=use.mpp)


def _corner(case_id: str, size: int) -> tuple[int, int]:
    """Row and column of a tile's first pixel, from its number ``SLIDE-ROW-COLUMN``."""
    _, row, column = case_id.split("-")
    return int(row) * size, int(column) * size


def _entries(use: Settings, name: str, split: str) -> list[Entry]:
    """The tiles of a slide that the curve of its tissue reaches, with the classes that each shows."""
    design, found = _design(use, name), []
    for row in range(use.side // use.size):
        for column in range(use.side // use.size):
            top, left = row * use.size, column * use.size
            if _reach(design, use, top, left) < -_FRAY_UM:
                continue
            shown = tuple(int(value) for value in np.unique(_truth(design, use, top, left)))
            found.append(Entry(f"{name}-{row:02d}-{column:02d}", shown, split, name))
    return found


def _reach(design: Design, use: Settings, top: int, left: int) -> float:
    """How far the tile's innermost point lies within the curve of the tissue, in micrometres; below 0 outside."""
    rows, columns = _places(use, top, left)
    return float(design.edge.inward(rows, columns).max())


def _truth(design: Design, use: Settings, top: int, left: int) -> Pixels:
    """1 for cells of which at least half of the area lies inside the outline of a tumour, as ``cells`` of slides."""
    side = use.size // use.cell
    shares = np.zeros((side, side))
    for outline in design.tumours:
        points = (outline.points()[:, ::-1] / use.mpp - np.array([left, top])) / use.cell
        lines = np.concatenate([points, np.roll(points, -1, 0)], 1)
        shares = np.maximum(shares, area_shares(lines, side))
    return decided(shares, "half")


def _places(use: Settings, top: int, left: int) -> tuple[Any, Any]:
    """Centres of a tile's pixels in micrometres, rows ``[size, 1]`` and columns ``[1, size]``."""
    step = np.arange(use.size) + 0.5
    return (top + step[:, None]) * use.mpp, (left + step[None]) * use.mpp
