"""The landscape of a loss as SVG: shades and lines of equal loss, and the way of the weights on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from percuss.core.explained import Floats, Landscape

SIDE, LEFT, TOP, WIDTH, HEIGHT = 420, 58, 12, 620, 486
#: Light is low. One hue, lightness falling all the way.
_LIGHT, _DARK = np.array((244, 247, 250)), np.array((12, 44, 92))


def landscape_chart(found: Landscape, *, label: str) -> Markup:
    """Loss on the plane in a logarithmic scale, with lines of equal loss and the way of the weights from open to full.

    Places where the loss is not finite stay empty.
    """
    finite = found.loss[np.isfinite(found.loss)]
    low, high = (float(max(end, 1e-6)) for end in (finite.min(), finite.max())) if len(finite) else (1.0, 2.0)
    high = max(high, low * 1.001)
    levels = np.geomspace(low, high, 10)[1:-1].tolist()
    parts = [*_cells(found, low, high), *_axes(found)]
    parts += [_line(found, level, low, high) for level in levels]
    parts += [_way(found), _bar(low, high, levels)]
    return Markup(
        f'<svg class="chart" style="max-width:760px" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _part(value: float, low: float, high: float) -> float:
    return float(np.clip(np.log(max(value, 1e-6) / low) / np.log(high / low), 0, 1))


def _shade(part: float) -> str:
    return "rgb({},{},{})".format(*np.round(_LIGHT + (_DARK - _LIGHT) * part).astype(int))


def _cells(found: Landscape, low: float, high: float) -> list[str]:
    rows, columns = found.loss.shape
    wide, tall = SIDE / columns, SIDE / rows
    return [
        f'<rect x="{LEFT + j * wide:.1f}" y="{TOP + (rows - 1 - i) * tall:.1f}" width="{wide + 0.3:.1f}" '
        f'height="{tall + 0.3:.1f}" fill="{_shade(_part(found.loss[i, j], low, high))}"/>'
        for i in range(rows)
        for j in range(columns)
        if np.isfinite(found.loss[i, j])
    ]


def _spot(found: Landscape, x: float, y: float) -> tuple[float, float]:
    """Picture place of a place in the plane; the middle of a cell is where its loss was taken."""
    rows, columns = found.loss.shape
    across, up = (
        float((value - ends[0]) / (ends[-1] - ends[0]) * (count - 1) + 0.5) / count
        for value, ends, count in ((x, found.across, columns), (y, found.up, rows))
    )
    return LEFT + across * SIDE, TOP + (1 - up) * SIDE


def _axes(found: Landscape) -> list[str]:
    parts = []
    for value in (found.across[0], 0.0, found.across[-1]):
        x, _ = _spot(found, value, found.up[0])
        parts.append(f'<text class="tick" x="{x:.1f}" y="{TOP + SIDE + 16}" text-anchor="middle">{value:.3g}</text>')
    for value in (found.up[0], 0.0, found.up[-1]):
        _, y = _spot(found, found.across[0], value)
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    names = [f"component {k + 1}: {share:.0%} of the way" for k, share in enumerate(found.shares)]
    below, side = names if names else ("first random direction", "second random direction")
    parts.append(f'<text class="side" x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 36}" text-anchor="middle">{below}</text>')
    turn = f"translate(13 {TOP + SIDE / 2}) rotate(-90)"
    return [*parts, f'<text class="side" transform="{turn}" text-anchor="middle">{side}</text>']


def _line(found: Landscape, level: float, low: float, high: float) -> str:
    """One line of equal loss, cell by cell between the places of the grid."""
    steps, paint = [], "#1b1f24" if _part(level, low, high) < 0.5 else "#ffffff"
    for i in range(found.loss.shape[0] - 1):
        for j in range(found.loss.shape[1] - 1):
            cuts = _cuts(found, i, j, level)
            steps += [
                f"M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" for a, b in zip(cuts[::2], cuts[1::2], strict=False)
            ]
    return f'<path d="{"".join(steps)}" fill="none" stroke="{paint}" stroke-width=".8" opacity=".7"/>'


def _cuts(found: Landscape, i: int, j: int, level: float) -> Sequence[tuple[float, float]]:
    """Where a line of equal loss cuts the four sides of a cell, in order around it."""
    corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
    values = [float(found.loss[corner]) for corner in corners]
    cuts = []
    for k in range(4):
        (a, b), (one, two) = (corners[k], corners[(k + 1) % 4]), (values[k], values[(k + 1) % 4])
        if (one < level) != (two < level) and np.isfinite(one) and np.isfinite(two):
            part = (level - one) / (two - one)
            x = found.across[a[1]] + part * (found.across[b[1]] - found.across[a[1]])
            y = found.up[a[0]] + part * (found.up[b[0]] - found.up[a[0]])
            cuts.append(_spot(found, float(x), float(y)))
    return cuts


def _way(found: Landscape) -> str:
    centre = np.zeros((1, 2))
    # The model of the best epoch lies on the way; one that came from elsewhere is its end.
    on_it = len(found.path) > 0 and bool((found.path == 0).all(1).any())
    path: Floats = found.path if on_it else np.concatenate([found.path, centre]) if len(found.path) else centre
    spots = [_spot(found, float(x), float(y)) for x, y in path]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="#fff" stroke="#d55e00" stroke-width="1.8">'
        f"<title>checkpoint {number}: loss {loss:.3g}</title></circle>"
        for number, ((x, y), loss) in enumerate(zip(spots, found.path_loss, strict=False))
    )
    x, y = _spot(found, 0.0, 0.0)
    end = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="#d55e00"><title>the model</title></circle>'
    return f'<polyline points="{line}" fill="none" stroke="#d55e00" stroke-width="2.2"/>{dots}{end}'


def _bar(low: float, high: float, levels: Sequence[float]) -> str:
    x, tall = LEFT + SIDE + 26, SIDE - 24
    parts = [
        f'<rect x="{x}" y="{TOP + 24 + (39 - k) * tall / 40:.1f}" width="16" height="{tall / 40 + 0.4:.1f}" '
        f'fill="{_shade((k + 0.5) / 40)}"/>'
        for k in range(40)
    ]
    for value in (low, *levels[1::2], high):
        y = TOP + 24 + tall * (1 - _part(value, low, high))
        parts.append(f'<text class="tick" x="{x + 22}" y="{y + 4:.1f}">{value:.3g}</text>')
    return "".join(parts) + f'<text class="side" x="{x}" y="{TOP + 10}">loss</text>'
