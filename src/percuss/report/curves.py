"""The curve and step charts of a run with the small table under each, one pair per norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from percuss.core.results import CurvePoint, Interval, Results, Sensitivity
from percuss.report.charts import Axis, Line, Point, chart
from percuss.report.numbers import (
    NORM_WORDS,
    absolute_text,
    counted,
    counted_share,
    decimal,
    native,
    percent,
    plain,
    share,
    size_text,
)
from percuss.report.rows import NORM_ORDER, is_control

WORST = "worst"


@dataclass(frozen=True)
class NormPart:
    """What the report shows of one norm: charts (None where no size can be drawn) and table rows of text."""

    norm: str
    words: str
    curve: Markup | None
    steps: Markup | None
    worst: list[list[str]]
    every: list[list[str]]
    quartiles: list[list[str]]


def norm_parts(results: Results, flips: dict[str, tuple[list[float], list[float]]]) -> list[NormPart]:
    """One part per norm; ``flips`` has the ascending smallest flipping sizes per norm, as float and as stored."""
    present = {point.norm for point in results.curves}
    order = [norm for norm in NORM_ORDER if norm in present] + sorted(present - set(NORM_ORDER))
    return [_part(norm, results, *flips.get(norm, ([], []))) for norm in order]


def points_of(results: Results, norm: str, attack: str) -> list[CurvePoint]:
    """The points of one line, smallest size first."""
    found = [point for point in results.curves if point.norm == norm and point.attack == attack]
    return sorted(found, key=lambda point: math.inf if point.eps is None else point.eps)


def _part(norm: str, results: Results, flips: list[float], stored: list[float]) -> NormPart:
    worst = points_of(results, norm, WORST)
    names = list(dict.fromkeys(p.attack for p in results.curves if p.norm == norm and p.attack != WORST))
    lines = {name: points_of(results, norm, name) for name in names}
    axis = axis_of(norm, worst or next(iter(lines.values()), []), results)
    every = [_attack_row(point, results) for name in names for point in lines[name]]
    return NormPart(
        norm=norm,
        words=NORM_WORDS.get(norm, norm),
        curve=None if axis is None else _curve(results, worst, lines, axis, norm),
        steps=None
        if axis is None or len(axis.sizes) < 2 or not (flips and worst)
        else _steps(flips, stored, axis, norm, results),
        worst=[_worst_row(point, results) for point in worst],
        every=every,
        quartiles=[
            _quartile_row(i, results) for i in results.sensitivity if i.norm == norm and i.largest_tried is not None
        ],
    )


def axis_of(norm: str, points: Sequence[CurvePoint], results: Results) -> Axis | None:
    """The axis of sizes of some points; None where none has a size."""
    sized = [point for point in points if point.eps is not None]
    if not sized:
        return None
    sizes = tuple(float(point.eps or 0.0) for point in sized)
    if norm == "linf":
        below = tuple(plain(native(eps, results.data)) for eps in sizes)
        unit = "grey levels" if results.data.unit == "grey level" else results.data.unit
        whole = plain(native(1.0, results.data)) if results.data.window else results.data.levels
        title = f"{NORM_WORDS[norm]} ({norm}); second line: {unit} of {whole}"
    else:
        below = tuple("" if norm == "l0" else plain(eps) for eps in sizes)
        title = f"{NORM_WORDS.get(norm, norm)} ({norm})"
        if [size_text(point.budget) for point in sized] == list(below):
            below = ("",) * len(sizes)
    return Axis(sizes, tuple(size_text(point.budget) for point in sized), below, title)


def _line(name: str, style: str, points: Sequence[CurvePoint], results: Results, stored: bool = False) -> Line:
    made = []
    for point in points:
        found = point.robust_accuracy_stored if stored else point.robust_accuracy
        if found.value is None or point.eps is None:
            continue
        size = f"{point.budget} ({absolute_text(point.norm, point.eps, results.data)})"
        tip = f"{name}, {size}: {share(found)} of {found.n} images still right"
        made.append(Point(point.eps, found.value, found.low, found.high, tip))
    return Line(name, style, tuple(made))


def _curve(
    results: Results, worst: list[CurvePoint], lines: dict[str, list[CurvePoint]], axis: Axis, norm: str
) -> Markup:
    made: list[Line] = []
    name = "worst case"
    attacks = {key: points for key, points in lines.items() if not is_control(key)}
    for colour, (attack, points) in enumerate(attacks.items()):
        same = [p.robust_accuracy.value for p in points] == [p.robust_accuracy.value for p in worst]
        if same and name == "worst case":
            name = f"worst = {attack}"
        else:
            made.append(_line(attack, f"a{colour % 6}", points, results))
    made += [_line(key, "noise", points, results) for key, points in lines.items() if is_control(key)]
    if worst:
        made += [_line("worst, stored", "stored", worst, results, True), _line(name, "worst", worst, results)]
    made = [line for line in made if line.points]
    clean = results.clean.accuracy.value
    level = None if clean is None else (f"no attack: {percent(clean, results.clean.accuracy.n)}", clean)
    label = f"Robust accuracy over {NORM_WORDS.get(norm, norm)}; the numbers are in the table below"
    return chart(made, axis, label=label, side="images still right, %", level=level)


def _steps(flips: list[float], stored: list[float], axis: Axis, norm: str, results: Results) -> Markup:
    lines = [_step_line("as stored", "stored", stored, axis, norm, results)]
    lines.append(_step_line("as float", "worst", flips, axis, norm, results))
    label = f"Share of images flipped within a size ({norm}); images never flipped keep the line below 100 %"
    return chart(lines, axis, label=label, side="right images flipped, %")


def _step_line(name: str, style: str, sizes: list[float], axis: Axis, norm: str, results: Results) -> Line:
    made = []
    for eps in axis.sizes:
        count = sum(size <= eps * (1 + 1e-9) for size in sizes)
        tip = f"{name}: {count} of {len(sizes)} flipped within {absolute_text(norm, eps, results.data)}"
        made.append(Point(eps, count / len(sizes) if sizes else 0.0, None, None, tip))
    return Line(name, style, tuple(made), step=True)


def _worst_row(point: CurvePoint, results: Results) -> list[str]:
    return [
        size_text(point.budget),
        absolute_text(point.norm, point.eps, results.data),
        share(point.robust_accuracy),
        share(point.robust_accuracy_stored),
        counted(point.success_rate),
        counted_share(point.success_rate_stored),
    ]


def _attack_row(point: CurvePoint, results: Results) -> list[str]:
    return [
        point.attack + (" (control)" if is_control(point.attack) else ""),
        size_text(point.budget),
        absolute_text(point.norm, point.eps, results.data),
        share(point.robust_accuracy),
        share(point.robust_accuracy_stored),
        counted(point.success_rate),
        counted(point.success_rate_stored),
        _change(point.confidence_change),
        plain(point.median_gradient_evaluations),
    ]


def _change(interval: Interval) -> str:
    return "–" if interval.value is None else decimal(interval, 2, signed=True)


def _quartile_row(item: Sensitivity, results: Results) -> list[str]:
    largest = absolute_text(item.norm, item.largest_tried, results.data)
    points = [f"above {largest}" if q is None else absolute_text(item.norm, q, results.data) for q in item.quartiles]
    return ["as stored" if item.stored else "as float", *points, f"{item.n_censored} of {item.n_correct}"]
