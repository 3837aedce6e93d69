"""Charts as plain SVG text: robust accuracy over the size of the change, and the share of images flipped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 520, 320
LEFT, RIGHT, TOP, BOTTOM = 44, 104, 26, 62
FLOOR, EDGE = HEIGHT - BOTTOM, WIDTH - RIGHT


@dataclass(frozen=True)
class Point:
    """One value at one size; shares in [0, 1]; ``low`` and ``high`` None where there is no band."""

    eps: float
    value: float
    low: float | None
    high: float | None
    tip: str


@dataclass(frozen=True)
class Line:
    """One line of a chart; ``style`` is a class of the style sheet (worst, stored, noise, said, a0 to a5), perhaps with
    ``smooth`` (a line without dots) or ``marks`` (dots without a line) behind it. Without a name it has no label.

    ``bars`` draws the interval of each point as a thin line, ``shift`` moves the points aside (in units of the picture,
    so that bars of several lines can be told apart), and the style ``said`` draws open squares without a line.
    """

    name: str
    style: str
    points: tuple[Point, ...]
    step: bool = False
    bars: bool = False
    shift: float = 0.0


@dataclass(frozen=True)
class Axis:
    """The size axis: sizes ascending, their text as the user gave it, a second text below, and a title."""

    sizes: tuple[float, ...]
    texts: tuple[str, ...]
    below: tuple[str, ...]
    title: str

    def place(self, eps: float) -> float:
        """Horizontal position of a size; logarithmic where the sizes span more than sixfold."""
        low, high = self.sizes[0], self.sizes[-1]
        inner = EDGE - LEFT - 36
        if high <= low:
            return LEFT + 18 + inner / 2
        wide = low > 0 and high / low > 6
        part = math.log(eps / low) / math.log(high / low) if wide else (eps - low) / (high - low)
        return LEFT + 18 + inner * part


def height(value: float) -> float:
    """Vertical position of a share in [0, 1]."""
    return FLOOR - (FLOOR - TOP) * min(max(value, 0.0), 1.0)


def chart(
    lines: Sequence[Line],
    axis: Axis,
    *,
    label: str,
    side: str,
    level: tuple[str, float] | None = None,
    floor: tuple[str, float] | None = None,
) -> Markup:
    """A chart as SVG.

    Args:
        lines: drawn in order, later ones on top; each is labelled at its right end.
        axis: the size axis.
        label: what the picture says, for screen readers.
        side: title of the vertical axis.
        level: name and share of a thin line across (accuracy without attack).
        floor: the same of a dashed line (what knows nothing).
    """
    parts = [_frame(axis, side)]
    parts += [] if level is None else [_across("level", *level, at_end=True)]
    parts += [] if floor is None else [_across("level floor", *floor, at_end=False)]
    parts += [_bars(line, axis) if line.bars else _band(line, axis) for line in lines]
    parts += [_squares(line, axis) if line.style == "said" else _stroke(line, axis) for line in lines]
    aside = [line for line in lines if _inside(line, axis)]
    parts.append(_names([line for line in lines if line not in aside], axis))
    parts += [_name_aside(line, axis) for line in aside]
    # Long names at the right get the room they need.
    more = max([0.0, *(7.2 * len(line.name) - (RIGHT - 10) for line in lines if line not in aside)])
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH + more:.0f} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _across(kind: str, name: str, share: float, *, at_end: bool) -> str:
    y = height(share)
    x, anchor = (EDGE - 4, "end") if at_end else (LEFT + 4, "start")
    return (
        f'<line class="{kind}" x1="{LEFT}" x2="{EDGE}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="levelname" x="{x}" y="{y - 5:.1f}" text-anchor="{anchor}">{escape(name)}</text>'
    )


def _frame(axis: Axis, side: str) -> str:
    parts = []
    for share in (0, 25, 50, 75, 100):
        y = height(share / 100)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{EDGE}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share}</text>')
    turn = f"translate(11 {(TOP + FLOOR) / 2:.0f}) rotate(-90)"
    parts.append(f'<text class="side" transform="{turn}" text-anchor="middle">{escape(side)}</text>')
    last = -math.inf
    for size, text, below in zip(axis.sizes, axis.texts, axis.below, strict=True):
        x = axis.place(size)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{FLOOR}" y2="{FLOOR + 4}"/>')
        room = 3.1 * len(text) + 3
        if x - room < last:
            continue
        last = x + room
        parts.append(f'<text class="tick" x="{x:.1f}" y="{FLOOR + 17}" text-anchor="middle">{escape(text)}</text>')
        parts.append(
            f'<text class="tick below" x="{x:.1f}" y="{FLOOR + 31}" text-anchor="middle">{escape(below)}</text>'
        )
    middle = (LEFT + EDGE) / 2
    parts.append(
        f'<text class="side" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(axis.title)}</text>'
    )
    return "".join(parts)


def _band(line: Line, axis: Axis) -> str:
    ends = [(axis.place(p.eps), p.low, p.high) for p in line.points if p.low is not None and p.high is not None]
    if line.style != "worst" or not ends:
        return ""
    if len(ends) == 1:
        x, low, high = ends[0]
        return f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{height(low):.1f}" y2="{height(high):.1f}"/>'
    upper = [f"{x:.1f},{height(high):.1f}" for x, _, high in ends]
    lower = [f"{x:.1f},{height(low):.1f}" for x, low, _ in reversed(ends)]
    return f'<polygon class="band" points="{" ".join(upper + lower)}"/>'


def _bars(line: Line, axis: Axis) -> str:
    ends = [(axis.place(p.eps) + line.shift, p.low, p.high) for p in line.points]
    drawn = [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{height(low):.1f}" y2="{height(high):.1f}" stroke="currentColor"/>'
        for x, low, high in ends
        if low is not None and high is not None
    ]
    return f'<g class="line bars {line.style}">{"".join(drawn)}</g>'


def _squares(line: Line, axis: Axis) -> str:
    spots = [(axis.place(p.eps) + line.shift, height(p.value), p.tip) for p in line.points]
    drawn = [
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"><title>{escape(tip)}</title></rect>'
        for x, y, tip in spots
    ]
    return f'<g class="line said">{"".join(drawn)}</g>'


def _stroke(line: Line, axis: Axis) -> str:
    spots = [(axis.place(p.eps) + line.shift, height(p.value)) for p in line.points]
    path: list[str] = []
    for number, (x, y) in enumerate(spots):
        if line.step and number:
            path.append(f"L{x:.1f} {spots[number - 1][1]:.1f}")
        path.append(f"{'L' if number else 'M'}{x:.1f} {y:.1f}")
    dots = "".join(
        f'<g class="spot"><circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        f'<circle class="reach" cx="{x:.1f}" cy="{y:.1f}" r="10"/><title>{escape(p.tip)}</title></g>'
        for (x, y), p in zip(spots, line.points, strict=True)
    )
    return f'<g class="line {line.style}"><path d="{" ".join(path)}"/>{dots}</g>'


def _inside(line: Line, axis: Axis) -> bool:
    """Whether a line of published points ends far from the right, so that its name stands beside its last point."""
    return (
        line.style == "said" and bool(line.points) and axis.place(line.points[-1].eps) < axis.place(axis.sizes[-1]) - 40
    )


def _name_aside(line: Line, axis: Axis) -> str:
    last = line.points[-1]
    x, y = axis.place(last.eps) + line.shift + 9, height(last.value) + 4
    return f'<text class="name said halo" x="{x:.1f}" y="{y:.1f}">{escape(line.name)}</text>'


def _names(lines: Sequence[Line], axis: Axis) -> str:
    """Names at the right ends, pushed apart where they would overlap, each with a leader to its line."""
    ends = sorted(
        (height(line.points[-1].value), number, line) for number, line in enumerate(lines) if line.points and line.name
    )
    places: list[float] = []
    for y, _, _ in ends:
        places.append(max(y, places[-1] + 14) if places else y)
    over = places[-1] - FLOOR if places else 0.0
    for number in reversed(range(len(places))):
        ceiling = places[number + 1] - 14 if number + 1 < len(places) else FLOOR
        places[number] = min(places[number], ceiling) if over > 0 else places[number]
    parts = []
    for place, (y, _, line) in zip(places, ends, strict=True):
        x = axis.place(line.points[-1].eps)
        parts.append(f'<path class="leader {line.style}" d="M{x + 5:.1f} {y:.1f} L{EDGE - 2} {place:.1f} h6"/>')
        parts.append(f'<text class="name {line.style}" x="{EDGE + 8}" y="{place + 4:.1f}">{escape(line.name)}</text>')
    return "".join(parts)
