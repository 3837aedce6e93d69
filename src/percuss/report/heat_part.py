"""What the report says of heat maps: AUC-PR by attack and size, over the size as a chart, and what changes go with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from percuss.core.results import DataRecord, Heat, HeatPoint, Interval, Meaning, Results
from percuss.report.charts import Axis, Line, Point, chart
from percuss.report.curves import axis_of, points_of
from percuss.report.heat_verdict import WORST, not_exhaustive, worst_points
from percuss.report.numbers import NORM_WORDS, decimal, native, plain, size_text, visible_text, whole
from percuss.report.rows import NORM_ORDER, is_control

#: Heads of the tables: by attack and size, the fine print of the same, and of what changes go with.
HEAT_HEADS: dict[str, tuple[str, ...]] = {
    "sizes": ("attack", "limit", "in plain terms", "AUC-PR, as float", "AUC-PR, as stored", "mean over slides, stored"),
    "fine": (
        "attack",
        "limit",
        "state",
        "AUC-PR",
        "from a histogram",
        "by the trapezoidal rule",
        "null model",
        "cells",
    ),
    "meaning": ("measure", "attack", "limit", "change", "noise", "change less noise", "read"),
}


@dataclass(frozen=True)
class Measure:
    """How a measure of a change is read: its name, what it says, and words for less and more of it than noise has."""

    words: str
    about: str
    less: str
    more: str


#: Measures of ``percuss.evaluate.change_meaning`` in words.
MEASURES: dict[str, Measure] = {
    "slope": Measure(
        "spectrum slope",
        "log power over log frequency of the change: 0 is white noise, tissue and other images lie near −2",
        "smoother than noise",
        "rougher than noise",
    ),
    "haematoxylin": Measure(
        "haematoxylin",
        "correlation of the size of the change at a pixel with the amount of the stain of nuclei there",
        "keeps away from haematoxylin",
        "lies where haematoxylin is",
    ),
    "nuclei": Measure(
        "nuclei",
        "correlation of the size of the change at a pixel with being in a nucleus",
        "keeps away from nuclei",
        "lies in nuclei",
    ),
    "tumour": Measure(
        "energy in tumour",
        "share of the change's energy in true tumour cells over their share of the area: 1 is no place in particular",
        "keeps away from tumour",
        "lies in tumour",
    ),
}


@dataclass(frozen=True)
class HeatNorm:
    """One norm: its chart (None where no size can be drawn) and rows of text."""

    norm: str
    words: str
    chart: Markup | None
    rows: list[list[str]]
    fine: list[list[str]]


@dataclass(frozen=True)
class HeatPart:
    """What the section on heat maps shows: facts, norms, meaning with a sentence for each measure, doubts."""

    facts: list[tuple[str, str]]
    norms: list[HeatNorm]
    meaning: list[list[str]]
    measures: list[tuple[str, str]]
    doubts: list[str]
    cell: int
    null: str


def heat_part(results: Results) -> HeatPart | None:
    """Tables and charts of heat maps; None for other tasks."""
    heat = results.heat
    if heat is None:
        return None
    present = {point.norm for point in heat.points}
    known = list(dict.fromkeys(item.measure for item in heat.meaning))
    return HeatPart(
        facts=_facts(heat),
        norms=[_norm(norm, heat, results) for norm in NORM_ORDER if norm in present],
        meaning=[_meaning_row(item) for item in heat.meaning],
        measures=[(MEASURES[name].words, MEASURES[name].about) for name in known if name in MEASURES],
        doubts=not_exhaustive(heat),
        cell=heat.cell,
        null="not defined" if heat.null is None else f"{heat.null:.3f}",
    )


def heat_intervals(heat: Heat) -> list[Interval]:
    """Every interval of the section, for the list of how they were made."""
    points = [heat.clean, *heat.points]
    found = [interval for point in points for interval in (point.auc_pr, point.by_slide)]
    return found + [interval for item in heat.meaning for interval in (item.change, item.noise, item.difference)]


def _facts(heat: Heat) -> list[tuple[str, str]]:
    clean = heat.clean
    return [
        ("AUC-PR without attack", decimal(clean.auc_pr)),
        ("… mean over slides", decimal(clean.by_slide)),
        ("Null model: share of tumour cells", "not defined" if heat.null is None else f"{heat.null:.3f}"),
        ("Judged cells", whole(clean.cells)),
        ("Slides", str(heat.slides) if heat.slides else "not named"),
    ]


def _norm(norm: str, heat: Heat, results: Results) -> HeatNorm:
    mine = [point for point in heat.points if point.norm == norm]
    names = list(dict.fromkeys(point.attack for point in mine))
    order = [name for name in (WORST, *names) if name in names]
    lines = {name: _line_of(mine, name) for name in dict.fromkeys(order)}
    rows = [["no attack", "", "", decimal(heat.clean.auc_pr), decimal(heat.clean.auc_pr), decimal(heat.clean.by_slide)]]
    rows += [_size_row(*pair, results.data) for line in lines.values() for pair in line]
    null = "not defined" if heat.null is None else f"{heat.null:.3f}"
    rows.append(["null model: knows nothing", "", "", null, null, "–"])
    return HeatNorm(
        norm=norm,
        words=NORM_WORDS.get(norm, norm),
        chart=_chart(norm, heat, results, lines),
        rows=rows,
        fine=[_fine_row(point) for point in [heat.clean, *(one for line in lines.values() for p in line for one in p)]],
    )


def _line_of(points: Sequence[HeatPoint], attack: str) -> list[tuple[HeatPoint, HeatPoint]]:
    """One attack as pairs of float and stored, smallest size first; a state that is missing stands for the other."""
    pairs: dict[str, dict[bool, HeatPoint]] = {}
    for point in points:
        if point.attack == attack:
            pairs.setdefault(point.budget, {})[point.stored] = point
    found = [(pair.get(False, pair.get(True)), pair.get(True, pair.get(False))) for pair in pairs.values()]
    known = [(one, two) for one, two in found if one is not None and two is not None]
    return sorted(known, key=lambda pair: math.inf if pair[0].eps is None else pair[0].eps)


def _size_row(point: HeatPoint, stored: HeatPoint, data: DataRecord) -> list[str]:
    return [
        _named(point.attack),
        size_text(point.budget),
        visible_text(point.norm, point.eps, data),
        decimal(point.auc_pr),
        decimal(stored.auc_pr),
        decimal(stored.by_slide),
    ]


def _fine_row(point: HeatPoint) -> list[str]:
    clean = not point.norm
    return [
        "no attack" if clean else _named(point.attack),
        "" if clean else size_text(point.budget),
        "as stored" if point.stored else "as float",
        decimal(point.auc_pr),
        _three(point.auc_pr_binned),
        _three(point.trapezoid),
        _three(point.prevalence),
        whole(point.cells),
    ]


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _named(attack: str) -> str:
    return "worst over attacks" if attack == WORST else attack + (" (control)" if is_control(attack) else "")


def heat_axis(norm: str, results: Results) -> Axis | None:
    """The axis of the sizes of a norm; those of l2 with the root mean square of the change below."""
    some = next((point.attack for point in results.curves if point.norm == norm), "")
    axis = axis_of(norm, points_of(results, norm, WORST) or points_of(results, norm, some), results)
    if axis is None or norm != "l2":
        return axis
    root = math.sqrt(max(math.prod(results.data.shape), 1))
    unit = "grey levels" if results.data.unit == "grey level" else results.data.unit
    below = tuple(plain(native(eps / root, results.data)) for eps in axis.sizes)
    return replace(axis, below=below, title=f"{NORM_WORDS[norm]} ({norm}); second line: {unit} rms")


def _chart(
    norm: str, heat: Heat, results: Results, lines: dict[str, list[tuple[HeatPoint, HeatPoint]]]
) -> Markup | None:
    axis = heat_axis(norm, results)
    if axis is None:
        return None
    made, name, colour = [], "worst case", 0
    worst = [pair[0] for pair in lines.get(WORST, [])]
    for attack, pairs in lines.items():
        points = [pair[0] for pair in pairs]
        same = [p.auc_pr.value for p in points] == [p.auc_pr.value for p in worst]
        if is_control(attack):
            made.append(heat_line(attack, "noise", points, data=results.data))
        elif attack != WORST and same and name == "worst case":
            name = f"worst = {attack}"
        elif attack != WORST:
            made.append(heat_line(attack, f"a{colour % 6}", points, data=results.data))
            colour += 1
    made.append(heat_line("worst, stored", "stored", worst_points(heat, norm, stored=True), data=results.data))
    made.append(heat_line(name, "worst", worst, data=results.data))
    value = heat.clean.auc_pr.value
    return chart(
        [line for line in made if line.points],
        axis,
        label=f"AUC-PR of heat maps over {NORM_WORDS.get(norm, norm)}; the numbers are in the table below",
        side="AUC-PR × 100",
        level=None if value is None else (f"no attack: {value:.3f}", value),
        floor=None if heat.null is None else (f"null model: {heat.null:.3f}", heat.null),
    )


def heat_line(name: str, style: str, points: Sequence[HeatPoint], *, data: DataRecord) -> Line:
    """A line of AUC-PR over the size, with the intervals; points without value or size are left out."""
    made = [
        Point(
            point.eps,
            point.auc_pr.value,
            point.auc_pr.low,
            point.auc_pr.high,
            f"{name}, {point.budget} ({visible_text(point.norm, point.eps, data)}): {decimal(point.auc_pr)}",
        )
        for point in points
        if point.eps is not None and point.auc_pr.value is not None
    ]
    return Line(name, style, tuple(made))


def _meaning_row(item: Meaning) -> list[str]:
    words = MEASURES[item.measure].words if item.measure in MEASURES else item.measure
    numbers = [decimal(item.change, 2), decimal(item.noise, 2), decimal(item.difference, 2, signed=True)]
    shown = [text.replace("−0.00", "0.00").replace("+0.00", "0.00") for text in numbers]
    return [words, item.attack, f"{item.norm} {size_text(item.budget)}", *shown, reading(item)]


def reading(item: Meaning) -> str:
    """What the difference from noise says, in words; nothing is told where its interval holds zero."""
    low, high = item.difference.low, item.difference.high
    if item.difference.value is None:
        return "not defined"
    if low is None or high is None:
        return "no interval: nothing is told"
    if low <= 0 <= high:
        return "not told from noise"
    known = MEASURES.get(item.measure)
    if known is None:
        return "more than noise" if low > 0 else "less than noise"
    return known.more if low > 0 else known.less
