"""Curves of a study: accuracy or success over the size of the change, of several models, published points beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import RunError
from percuss.core.recipe import FigureSpec, Protocol, PublishedLine
from percuss.core.results import CurvePoint, Interval, Results
from percuss.report.charts import Axis, Line, Point, chart
from percuss.report.curves import axis_of, points_of
from percuss.report.heat_part import heat_axis
from percuss.report.numbers import NORM_WORDS, plain, share
from percuss.report.rows import NORM_ORDER, is_control
from percuss.report.schema import read_results
from percuss.report.sections import Panel

FLOOR = "floor-at-clean-error"
_SIDES = {
    "accuracy": "images still right, %",
    "success": "right images flipped, %",
    "dice": "mean Dice, %",
    "auc_pr": "AUC-PR × 100",
}


@dataclass(frozen=True)
class Ground:
    """What a figure stands on: the folder of each step with what it is called, the data set, and the protocol."""

    steps: tuple[tuple[str, Path], ...]
    data: str
    alone: bool
    protocol: Protocol


@dataclass(frozen=True)
class _One:
    """One audit: its name in the figure, results, and shares as the paper's protocol counts them."""

    name: str
    results: Results
    published: Mapping[str, float]


def curve_panels(spec: FigureSpec, ground: Ground) -> list[Panel]:
    """A chart for each norm, or for each attack, with a line for each step and attack; RunError as the audit's."""
    runs = [_open(name, folder, ground.protocol) for name, folder in ground.steps]
    present = {point.norm for one in runs for point in one.results.curves}
    norms = [norm for norm in NORM_ORDER if norm in present]
    sets = [(attack,) for attack in spec.attacks if not is_control(attack)] if spec.panels == "attack" else [()]
    controls = tuple(name for name in spec.attacks if is_control(name))
    panels = [
        _panel(spec, ground, runs, norm, (*one, *controls) if one else spec.attacks) for norm in norms for one in sets
    ]
    return [panel for panel in panels if panel is not None]


def _open(name: str, folder: Path, protocol: Protocol) -> _One:
    results = read_results(folder / "results.json")
    floors = [item.evidence for item in results.findings if item.id == FLOOR and protocol == "paper"]
    return _One(name, results, floors[0]["accuracy_as_published"] if floors else {})


def _panel(spec: FigureSpec, ground: Ground, runs: Sequence[_One], norm: str, attacks: Sequence[str]) -> Panel | None:
    drawn = [(one, attack, points_of(one.results, norm, attack)) for one in runs for attack in attacks]
    first = next((points for _, _, points in drawn if any(point.eps is not None for point in points)), [])
    scored = spec.measure == "auc_pr"
    axis = heat_axis(norm, runs[0].results) if scored else axis_of(norm, first, runs[0].results)
    if axis is None:
        return None
    several = len(runs) > 1
    named = [(one, attack, points) for one, attack, points in drawn if points]
    lines = []
    for place, (one, attack, points) in enumerate(named):
        name = ", ".join([one.name] * several + [attack] * (len(attacks) > 1 or not several))
        style = "noise" if is_control(attack) else f"a{[item[:2] for item in named].index((one, attack)) % 6}"
        lines.append(_line(name, style, (place - (len(named) - 1) / 2) * 3, points, spec, one))
    said = _said(spec, ground, norm, attacks[0] if spec.panels == "attack" else "")
    axis = _wider(axis, [size for line in said for size, _ in line.points])
    lines += [_squares(line) for line in said]
    title = [ground.data] * (not ground.alone) + [attacks[0]] * (spec.panels == "attack")
    words = NORM_WORDS.get(norm, norm)
    label = f"{_SIDES[spec.measure]} over {words}; the numbers are in the tables"
    made = chart(
        lines, axis, label=label, side=_SIDES[spec.measure], level=_level(spec, runs), floor=_floor(spec, runs)
    )
    return Panel(", ".join([*title, words]), made)


def _level(spec: FigureSpec, runs: Sequence[_One]) -> tuple[str, float] | None:
    """Accuracy of the only model without attack; where it scores as published, the clean error instead."""
    clean, dense = runs[0].results.clean.accuracy.value, runs[0].results.dense
    if spec.measure == "dice":
        clean = dense.clean.dice.value if dense else None
    if spec.measure == "auc_pr":
        heat = runs[0].results.heat
        clean = heat.clean.auc_pr.value if heat else None
    if spec.measure == "success" or len(runs) > 1 or clean is None:
        return None
    return ("clean error", 1 - clean) if runs[0].published else ("no attack", clean)


def _line(name: str, style: str, shift: float, points: Sequence[CurvePoint], spec: FigureSpec, one: _One) -> Line:
    made = []
    for point in points:
        found = _value(point, spec, one)
        if point.eps is not None and found.value is not None:
            made.append(Point(point.eps, found.value, found.low, found.high, f"{name}, {point.budget}: {share(found)}"))
    return Line(name, style, tuple(made), bars=True, shift=shift)


def _value(point: CurvePoint, spec: FigureSpec, one: _One) -> Interval:
    if spec.measure == "success":
        return point.success_rate
    if spec.measure in ("dice", "auc_pr"):
        return _dice(point, one.results) if spec.measure == "dice" else _area(point, one.results)
    scored = one.published.get(f"{point.attack} {point.budget}")
    if scored is None:
        return point.robust_accuracy
    return Interval(value=scored, low=None, high=None, n=point.robust_accuracy.n, method="as published")


def _dice(point: CurvePoint, results: Results) -> Interval:
    """Mean Dice of the masks of a point, on the images as stored; RunError where the run judged no masks."""
    if results.dense is None:
        raise RunError("the run judged no class maps, so there is no Dice", value=results.data.spec)
    same = (item for item in results.dense.points if (item.attack, item.norm) == (point.attack, point.norm))
    return next(item.dice for item in same if item.budget == point.budget and item.stored)


def _area(point: CurvePoint, results: Results) -> Interval:
    """AUC-PR of the heat maps of a point, on the images as stored; RunError where the run judged no heat maps."""
    if results.heat is None:
        raise RunError("the run judged no heat maps, so there is no AUC-PR", value=results.data.spec)
    same = (item for item in results.heat.points if (item.attack, item.norm) == (point.attack, point.norm))
    return next(item.auc_pr for item in same if item.budget == point.budget and item.stored)


def _floor(spec: FigureSpec, runs: Sequence[_One]) -> tuple[str, float] | None:
    """What a heat map without knowledge reaches on the cells of the first run."""
    heat = runs[0].results.heat
    if spec.measure != "auc_pr" or heat is None or heat.null is None:
        return None
    return f"null model: {heat.null:.3f}", heat.null


def _said(spec: FigureSpec, ground: Ground, norm: str, attack: str) -> list[PublishedLine]:
    """Published points that belong here: of this norm and attack, and of this data set where sets have names."""
    right = [line for line in spec.published if line.norm in ("", norm) and (not attack or line.attack in ("", attack))]
    if ground.alone:
        return right
    return [line for line in right if not line.data or any(part in ground.data.lower() for part in line.data)]


def _squares(line: PublishedLine) -> Line:
    tips = (Point(size, value, None, None, f"{line.name}, {plain(size)}: {value:.1%}") for size, value in line.points)
    return Line(line.name, "said", tuple(tips))


def _wider(axis: Axis, sizes: Sequence[float]) -> Axis:
    """The axis with room for other sizes, each with its own text."""
    known = dict(zip(axis.sizes, zip(axis.texts, axis.below, strict=True), strict=True))
    for size in sizes:
        if not any(abs(size - other) <= 1e-4 * other for other in known):
            known[size] = (plain(size), "")
    order = sorted(known)
    return Axis(tuple(order), tuple(known[s][0] for s in order), tuple(known[s][1] for s in order), axis.title)
