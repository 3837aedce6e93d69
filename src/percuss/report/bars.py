"""Groups of bars with their intervals as SVG, for shares that belong together by model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from percuss.core.results import Interval

LEFT, TOP, FLOOR, BOTTOM = 44, 20, 258, 44
_BAR, _GAP, _BETWEEN = 26, 5, 44


@dataclass(frozen=True)
class Bars:
    """Bars of one kind, one in each group: name, a class of the style sheet, and a share with interval or None."""

    name: str
    style: str
    values: tuple[Interval | None, ...]


def bar_chart(
    groups: Sequence[str], bars: Sequence[Bars], *, side: str, label: str, floor: tuple[str, float] | None = None
) -> Markup:
    """A chart of groups of bars from 0 to 100, each with its value above and its interval as a thin line.

    Args:
        groups: names below.
        bars: in the order in which they stand in a group.
        side: title of the vertical axis.
        label: what the picture says, for screen readers.
        floor: name and share of a dashed line across.
    """
    # A group is at least as wide as its name.
    each = max(len(bars) * (_BAR + _GAP), 7 * max(len(name) for name in groups))
    edge = LEFT + 16 + len(groups) * (each + _BETWEEN) - _BETWEEN // 2
    width = edge + 20 + round(7.2 * max(len(one.name) for one in bars)) + 20
    parts = [_frame(edge, side)]
    if floor is not None:
        y = _height(floor[1])
        parts.append(f'<line class="level floor" x1="{LEFT}" x2="{edge}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="levelname" x="{edge + 6}" y="{y + 4:.1f}">{escape(floor[0])}</text>')
    for place, group in enumerate(groups):
        left = LEFT + 16 + place * (each + _BETWEEN)
        middle = left + each / 2
        parts.append(
            f'<text class="tick" x="{middle:.0f}" y="{FLOOR + 18}" text-anchor="middle">{escape(group)}</text>'
        )
        start = middle - len(bars) * (_BAR + _GAP) / 2
        for number, one in enumerate(bars):
            found = one.values[place]
            if found is not None and found.value is not None:
                parts.append(_bar(start + number * (_BAR + _GAP), one, found, group))
    parts += _key(bars, edge + 20)
    return Markup(
        f'<svg class="chart" viewBox="0 0 {width} {FLOOR + BOTTOM}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _height(share: float) -> float:
    return FLOOR - (FLOOR - TOP) * min(max(share, 0.0), 1.0)


def _frame(edge: float, side: str) -> str:
    parts = []
    for share in (0, 25, 50, 75, 100):
        y = _height(share / 100)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{edge}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share}</text>')
    turn = f"translate(11 {(TOP + FLOOR) / 2:.0f}) rotate(-90)"
    return "".join(parts) + f'<text class="side" transform="{turn}" text-anchor="middle">{escape(side)}</text>'


def _bar(left: float, one: Bars, found: Interval, group: str) -> str:
    value = found.value or 0.0
    y, middle = _height(value), left + _BAR / 2
    ends, top = "", y
    if found.low is not None and found.high is not None:
        top = _height(found.high)
        ends = f'<path d="M{middle:.1f} {_height(found.low):.1f}V{top:.1f}" stroke="currentColor" stroke-width="1.3"/>'
    told = f"{group}, {one.name}: {100 * value:.1f}"
    if found.low is not None and found.high is not None:
        told += f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return (
        f'<g class="{one.style}"><rect x="{left:.1f}" y="{y:.1f}" width="{_BAR}" height="{FLOOR - y:.1f}" '
        f'fill="currentColor" opacity=".55"><title>{escape(told)}</title></rect>{ends}'
        f'<text class="tick" x="{middle:.1f}" y="{top - 4:.1f}" text-anchor="middle">{100 * value:.0f}</text></g>'
    )


def _key(bars: Sequence[Bars], x: float) -> list[str]:
    return [
        f'<g class="{one.style}"><rect x="{x}" y="{TOP + 18 * number}" width="12" height="12" fill="currentColor" '
        f'opacity=".55"/><text class="name {one.style}" x="{x + 18}" y="{TOP + 18 * number + 10}">{escape(one.name)}'
        "</text></g>"
        for number, one in enumerate(bars)
    ]
