"""A chart of lines over whole numbers (epochs), with an axis of its own for each: loss, Dice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 520, 300, 56, 104, 16, 44
_FLOOR, _EDGE = HEIGHT - BOTTOM, WIDTH - RIGHT
#: Values that span more than this are drawn on a logarithmic axis.
_SPAN = 20.0


@dataclass(frozen=True)
class Series:
    """One line: a name, its places and values (rising places), and the place that is marked with a ring, if any."""

    name: str
    points: tuple[tuple[float, float], ...]
    marked: float | None = None


@dataclass(frozen=True)
class Scale:
    """From values to heights: the ends, the ticks within them, and whether equal distances are equal ratios."""

    low: float
    high: float
    ticks: tuple[float, ...]
    ratios: bool

    def place(self, value: float) -> float:
        """Height of a value in the picture; values beyond the ends stand at the end."""
        value = min(max(value, self.low), self.high)
        if self.ratios:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return _FLOOR - (_FLOOR - TOP) * part


def scale_of(values: Sequence[float], *, share: bool) -> Scale:
    """The scale for values: 0 to 1 for shares; else from 0, or in equal ratios where they span more than twentyfold."""
    if share:
        return Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), False)
    low, high = min(values), max(values)
    if low > 0 and high / low > _SPAN:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return Scale(10.0**first, 10.0**last, tuple(10.0**power for power in range(first, last + 1)), True)
    low = min(0.0, low)
    step = _step((high - low) / 4 if high > low else 0.25)
    first, last = math.floor(low / step), max(math.ceil(high / step), 1)
    return Scale(first * step, last * step, tuple(place * step for place in range(first, last + 1)), False)


def _step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least * (1 - 1e-9))


def line_chart(lines: Sequence[Series], *, across: str, up: str, label: str, share: bool = False) -> Markup:
    """Lines as SVG, each named at its end, in the colours of the other charts.

    Args:
        lines: at least one with a point; values that are not finite are left out.
        across, up: titles of the axes.
        label: what the picture says, for screen readers.
        share: values lie between 0 and 1.
    """
    lines = [Series(one.name, tuple(p for p in one.points if math.isfinite(p[1])), one.marked) for one in lines]
    kept = [(number, one) for number, one in enumerate(lines) if one.points]
    places = [place for _, one in kept for place, _ in one.points]
    scale = scale_of([value for _, one in kept for _, value in one.points], share=share)
    low, high = min(places), max(places)

    def x(place: float) -> float:
        return LEFT + 12 + (_EDGE - LEFT - 24) * ((place - low) / (high - low) if high > low else 0.5)

    parts = [_frame(scale, across, up)]
    for place in _whole(low, high):
        parts.append(f'<text class="tick" x="{x(place):.1f}" y="{_FLOOR + 16}" text-anchor="middle">{place}</text>')
    for number, one in kept:
        spots = [(x(place), scale.place(value)) for place, value in one.points]
        drawn = _stroke(one, spots) + _ring(one, spots)
        parts.append(f'<g class="line a{number % 6}">{drawn}</g>')
    parts.append(_names([(scale.place(one.points[-1][1]), x(one.points[-1][0]), n, one.name) for n, one in kept]))
    more = max([0.0, *(7.2 * len(one.name) - (RIGHT - 10) for _, one in kept)])
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH + more:.0f} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _whole(low: float, high: float) -> list[int]:
    """At most eight whole numbers from low to high, the same distance apart."""
    step = max(1, math.ceil((high - low) / 7))
    return list(range(math.ceil(low), math.floor(high) + 1, step))


def _frame(scale: Scale, across: str, up: str) -> str:
    parts = []
    for value in scale.ticks:
        y = scale.place(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{_EDGE}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    turn = f"translate(11 {(TOP + _FLOOR) / 2:.0f}) rotate(-90)"
    parts.append(f'<text class="side" transform="{turn}" text-anchor="middle">{escape(up)}</text>')
    middle = (LEFT + _EDGE) / 2
    return (
        "".join(parts)
        + f'<text class="side" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>'
    )


def _stroke(one: Series, spots: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(spots))
    dots = "".join(
        f'<g class="spot"><circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
        f'<circle class="reach" cx="{x:.1f}" cy="{y:.1f}" r="8"/>'
        f"<title>{escape(f'{one.name}, {place:g}: {value:.4g}')}</title></g>"
        for (x, y), (place, value) in zip(spots, one.points, strict=True)
    )
    return f'<path d="{path}"/>{dots}'


def _ring(one: Series, spots: Sequence[tuple[float, float]]) -> str:
    found = [spot for spot, (place, _) in zip(spots, one.points, strict=True) if place == one.marked]
    return "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="currentColor" stroke-width="1.6"/>'
        for x, y in found
    )


def _names(ends: Sequence[tuple[float, float, int, str]]) -> str:
    """Names beside the ends of the lines, pushed apart where they would overlap, each with a leader."""
    order, places = sorted(ends), list[float]()
    for y, *_ in order:
        places.append(max(y, places[-1] + 14) if places else y)
    for number in reversed(range(len(places))):
        places[number] = min(places[number], places[number + 1] - 14 if number + 1 < len(places) else _FLOOR)
    parts = []
    for place, (y, x, number, name) in zip(places, order, strict=True):
        parts.append(f'<path class="leader a{number % 6}" d="M{x + 5:.1f} {y:.1f} L{_EDGE - 2} {place:.1f} h6"/>')
        parts.append(f'<text class="name a{number % 6}" x="{_EDGE + 8}" y="{place + 4:.1f}">{escape(name)}</text>')
    return "".join(parts)
