"""A plane of features as SVG: clean images, attacked ones, and the way of one attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from percuss.core.explained import Dots, Floats

WIDTH, HEIGHT, EDGE, PAD = 760, 460, 560, 14
_Shape = Literal["disc", "ring", "cross"]
#: Kind, whether right without attack, words, shape.
_KINDS: tuple[tuple[str, bool, str, _Shape], ...] = (
    ("clean", True, "clean", "disc"),
    ("clean", False, "clean, wrong", "cross"),
    ("attacked", True, "attacked", "ring"),
)


def groups_of(table: pd.DataFrame, clean: pd.DataFrame, classes: Sequence[str] | None) -> list[Dots]:
    """Clean images by true class, wrong ones apart, then attacked ones.

    Args:
        table: points with id, kind (clean, attacked), x and y.
        clean: the run's clean rows, with id, label and correct.
        classes: names; None for images of several labels, which are one kind.
    """
    known = clean.set_index("id")
    label = known["label"].astype(int) if classes is not None else pd.Series(0, index=known.index)
    found = []
    for kind, right, words, shape in _KINDS:
        for number, name in enumerate(classes or ("",)):
            part = table[(table["kind"] == kind) & (table["id"].map(label) == number)]
            if kind == "clean":
                part = part[part["id"].map(known["correct"].astype(bool)) == right]
            style = ("a4", "a0", "a1", "a2", "a3", "a5")[number % 6]
            tips = tuple(f"{case}, {words}{', ' if name else ''}{name}" for case in part["id"])
            if len(part):
                title = f"{name}, {words}" if name else words
                found.append(Dots(title, style, part[["x", "y"]].to_numpy(float), tips, shape))
    return found


def plane_chart(groups: Sequence[Dots], *, way: Floats | None = None, label: str) -> Markup:
    """Points of each kind with a key at the right, and a line for the way of one attack where there is one.

    Args:
        groups: drawn in order, later ones on top.
        way: places ``[T, 2]`` of an attack's iterates, first is the clean image.
        label: what the picture says, for screen readers.

    Both axes have one scale, since only nearness has a meaning.
    """
    every = [group.places for group in groups if len(group.places)] + ([way] if way is not None else [])
    both = np.concatenate(every) if every else np.zeros((1, 2))
    low, high = both.min(0), both.max(0)
    scale = min((EDGE - 2 * PAD) / max(high[0] - low[0], 1e-9), (HEIGHT - 2 * PAD) / max(high[1] - low[1], 1e-9))
    middle = (low + high) / 2

    def spot(place: Floats) -> tuple[float, float]:
        return EDGE / 2 + float(place[0] - middle[0]) * scale, HEIGHT / 2 - float(place[1] - middle[1]) * scale

    parts = [f'<rect class="mark" x=".5" y=".5" width="{EDGE - 1}" height="{HEIGHT - 1}" fill="none" opacity=".4"/>']
    for group in groups:
        parts.append(f'<g class="{group.style}">')
        for place, tip in zip(group.places, group.tips, strict=True):
            parts.append(_dot(*spot(place), shape=group.shape, tip=tip))
        parts.append("</g>")
    if way is not None and len(way):
        parts.append(_way([spot(place) for place in way]))
    parts += _key(groups, way is not None)
    return Markup(
        f'<svg class="chart" style="max-width:900px" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _dot(x: float, y: float, *, shape: str, tip: str = "") -> str:
    title = f"<title>{escape(tip)}</title>" if tip else ""
    if shape == "cross":
        lines = f"M{x - 4:.1f} {y - 4:.1f}l8 8m-8 0l8 -8"
        return f'<path d="{lines}" fill="none" stroke="currentColor" stroke-width="1.8">{title}</path>'
    if shape == "ring":
        paint, size = 'fill="none" stroke="currentColor" stroke-width="1.7"', 4.4
    else:
        paint, size = 'fill="currentColor" opacity=".75"', 3.4
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" {paint}>{title}</circle>'


def _way(spots: Sequence[tuple[float, float]]) -> str:
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    steps = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="currentColor"/>' for x, y in spots[1:-1])
    (x, y), (u, v) = spots[0], spots[-1]
    ends = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="currentColor" stroke-width="2"/>'
        f'<rect x="{u - 5:.1f}" y="{v - 5:.1f}" width="10" height="10" fill="currentColor"/>'
    )
    return (
        f'<g style="color:var(--ink)"><polyline points="{line}" fill="none" stroke="currentColor" '
        f'stroke-width="1.4"/>{steps}{ends}</g>'
    )


def _key(groups: Sequence[Dots], way: bool) -> list[str]:
    parts, x, y = [], EDGE + 20, 20.0
    for group in groups:
        text = f"{group.name} ({len(group.places)})"
        parts.append(f'<g class="{group.style}">{_dot(x, y - 4, shape=group.shape)}</g>')
        parts.append(f'<text x="{x + 12}" y="{y}">{escape(text)}</text>')
        y += 20
    if way:
        parts.append(f'<g transform="translate({x - 6} {y - 4})">{_way([(0, 0), (6, 0), (12, 0), (26, 0)])}</g>')
        parts.append(f'<text x="{x + 32}" y="{y}">one attack, clean to end</text>')
    return parts
