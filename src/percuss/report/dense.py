"""What the report says of class maps: Dice and its kin without attack, over the size of the change, and per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from percuss.core.results import DataRecord, Dense, DenseClass, DensePoint, Interval, Results
from percuss.report.charts import Axis, Line, Point, chart
from percuss.report.curves import WORST, axis_of, points_of
from percuss.report.numbers import NORM_WORDS, absolute_text, decimal, grey_text, share, size_text, whole
from percuss.report.rows import NORM_ORDER, is_control

#: Heads of the tables: of classes without attack, nuclei, the worst case by size, and by class and size.
HEADS: dict[str, tuple[str, ...]] = {
    "class": (
        "class",
        "Dice",
        "IoU",
        "accuracy",
        "Dice over pixels",
        "true pixels",
        "images without it",
        "of those, false alarms",
    ),
    "nuclei": ("", "panoptic quality", "detection F1", "segmentation", "AJI", "AJI+"),
    "limit": (
        "limit",
        "in plain terms",
        "change really made, mean",
        "Dice, as float",
        "Dice, as stored",
        "IoU, as stored",
        "pixel accuracy, as stored",
        "loss, as stored",
    ),
    "aim": ("attack", "class", "limit", "Dice, as stored", "IoU", "decided background", "background decided so"),
    "fate": ("class", "limit", "Dice, as stored", "IoU", "decided background", "background decided so"),
}

#: Attacks whose success is the share of one class removed or invented, not a low Dice.
AIMED = ("remove", "hallucinate")


@dataclass(frozen=True)
class DenseNorm:
    """What is shown of one norm; charts are None where no size can be drawn.

    Attributes:
        norm, words: the norm, and what it measures.
        dice, classes: mean Dice of each attack, and of each class in the worst case, over the size.
        removed, hallucinated: shares of pixels over the size, per class, in the worst case.
        limits, fates, every: rows of text: worst case by size, by class and size, and each attack.
        aims: rows of text: what attacks that lead to one class did to each class (worst by Dice does not show it).
    """

    norm: str
    words: str
    dice: Markup | None
    classes: Markup | None
    removed: Markup | None
    hallucinated: Markup | None
    limits: list[list[str]]
    fates: list[list[str]]
    every: list[list[str]]
    aims: list[list[str]]


@dataclass(frozen=True)
class DensePart:
    """What the report shows of class maps: facts, rows of text and one part per norm."""

    facts: list[tuple[str, str]]
    classes: list[list[str]]
    nuclei: list[list[str]]
    norms: list[DenseNorm]
    bar: float
    background: str


def dense_part(results: Results) -> DensePart | None:
    """Tables and charts of class maps; None for other tasks."""
    dense = results.dense
    if dense is None:
        return None
    present = {point.norm for point in dense.points}
    order = [norm for norm in NORM_ORDER if norm in present] + sorted(present - set(NORM_ORDER))
    worst = [point for point in dense.points if point.attack == WORST and point.stored]
    worst = sorted(worst, key=lambda point: order.index(point.norm))
    counted = [("no attack", dense.clean)] + [(point.budget, point) for point in worst]
    return DensePart(
        facts=_facts(dense.clean, dense),
        classes=_class_rows(dense.clean, dense),
        nuclei=[_nuclei_row(name, point) for name, point in counted if point.nuclei is not None],
        norms=[_norm(norm, dense, results) for norm in order],
        bar=dense.bar,
        background=dense.background,
    )


def _facts(point: DensePoint, dense: Dense) -> list[tuple[str, str]]:
    return [
        ("Mean Dice of an image", decimal(point.dice)),
        ("Mean IoU", decimal(point.iou)),
        ("Pixel accuracy", share(point.pixel_accuracy)),
        (f"… of deciding {dense.background} everywhere", share(point.floor)),
        ("Loss (cross-entropy per pixel)", decimal(point.loss)),
    ]


def _class_rows(point: DensePoint, dense: Dense) -> list[list[str]]:
    """Each class but the background, their mean, the background, and the mean with it."""
    first, *others = point.classes
    rows = [_class_row(item) for item in others]
    rows.append(["mean of an image", decimal(point.dice), decimal(point.iou), decimal(point.accuracy)] + ["–"] * 4)
    rows.append(_class_row(first))
    both = (decimal(point.dice_with_background), decimal(point.iou_with_background))
    return [*rows, [f"mean with {dense.background}", *both, *["–"] * 5]]


def _class_row(item: DenseClass) -> list[str]:
    pixels = "not defined" if item.dice_pixels is None else f"{item.dice_pixels:.3f}"
    counts = [whole(item.pixels), str(item.absent), str(item.false_alarms)]
    return [item.name, decimal(item.dice), decimal(item.iou), decimal(item.accuracy), pixels, *counts]


def _nuclei_row(name: str, point: DensePoint) -> list[str]:
    found = point.nuclei
    if found is None:
        return [name]
    return [name, *map(decimal, (found.panoptic, found.detection, found.segmentation, found.aji, found.aji_plus))]


def _norm(norm: str, dense: Dense, results: Results) -> DenseNorm:
    mine = [point for point in dense.points if point.norm == norm]
    worst = {stored: [p for p in mine if p.attack == WORST and p.stored == stored] for stored in (False, True)}
    names = list(dict.fromkeys(point.attack for point in mine if point.attack != WORST))
    axis = axis_of(norm, points_of(results, norm, WORST) or points_of(results, norm, names[0]), results)
    things = range(1, len(dense.clean.classes))
    drawn = axis is not None and bool(worst[False])
    return DenseNorm(
        norm=norm,
        words=NORM_WORDS.get(norm, norm),
        dice=None if axis is None else _dice_chart(mine, dense, axis, results),
        classes=_class_chart(worst[False], axis, "dice", results) if axis and drawn else None,
        removed=_class_chart(worst[False], axis, "removed", results) if axis and drawn else None,
        hallucinated=_class_chart(worst[False], axis, "hallucinated", results) if axis and drawn else None,
        limits=[_limit_row(*pair, results) for pair in zip(worst[False], worst[True], strict=True)],
        fates=[_fate_row(point, index) for index in things for point in worst[True]],
        every=[_attack_row(point, results) for point in mine if point.attack != WORST],
        aims=[
            [point.attack, *_fate_row(point, index)]
            for point in mine
            if point.attack in AIMED and point.stored
            for index in things
        ],
    )


def _limit_row(point: DensePoint, stored: DensePoint, results: Results) -> list[str]:
    return [
        size_text(point.budget),
        absolute_text(point.norm, point.eps, results.data),
        made_text(point, results.data),
        decimal(point.dice),
        decimal(stored.dice),
        decimal(stored.iou),
        share(stored.pixel_accuracy),
        decimal(stored.loss),
    ]


def made_text(point: DensePoint, data: DataRecord) -> str:
    """The largest change of any value that was really made, the mean over images, in the native unit."""
    return "–" if point.linf.value is None else grey_text(point.linf.value, data)


def _fate_row(point: DensePoint, index: int) -> list[str]:
    item = point.classes[index]
    shares = [share(item.removed), share(item.hallucinated)]
    return [item.name, size_text(point.budget), decimal(item.dice), decimal(item.iou), *shares]


def _attack_row(point: DensePoint, results: Results) -> list[str]:
    return [
        point.attack + (" (control)" if is_control(point.attack) else ""),
        size_text(point.budget),
        absolute_text(point.norm, point.eps, results.data),
        made_text(point, results.data),
        "as stored" if point.stored else "as float",
        decimal(point.dice),
        decimal(point.iou),
        share(point.pixel_accuracy),
        decimal(point.loss),
    ]


def _line(
    name: str, style: str, points: Sequence[DensePoint], pick: Callable[[DensePoint], Interval], results: Results
) -> Line:
    made = []
    for point in points:
        found = pick(point)
        if found.value is None or point.eps is None:
            continue
        size = f"{point.budget} ({absolute_text(point.norm, point.eps, results.data)})"
        made.append(Point(point.eps, found.value, found.low, found.high, f"{name}, {size}: {decimal(found)}"))
    return Line(name, style, tuple(made))


def _dice_chart(mine: list[DensePoint], dense: Dense, axis: Axis, results: Results) -> Markup:
    def dice(point: DensePoint) -> Interval:
        return point.dice

    computed = [point for point in mine if not point.stored]
    names = list(dict.fromkeys(point.attack for point in computed if point.attack != WORST))
    lines, name, colour = [], "worst case", 0
    worst = _line(name, "worst", [point for point in computed if point.attack == WORST], dice, results)
    for attack in names:
        line = _line(attack, "noise", [point for point in computed if point.attack == attack], dice, results)
        if is_control(attack):
            lines.append(line)
        elif name == "worst case" and [p.value for p in line.points] == [p.value for p in worst.points]:
            name = f"worst = {attack}"
        else:
            lines.append(replace(line, style=f"a{colour % 6}"))
            colour += 1
    kept = [point for point in mine if point.stored and point.attack == WORST]
    lines += [_line("worst, stored", "stored", kept, dice, results), replace(worst, name=name)]
    value = dense.clean.dice.value
    level = None if value is None else (f"no attack: {value:.3f}", value)
    label = f"Mean Dice over {NORM_WORDS.get(mine[0].norm, mine[0].norm)}; the numbers are in the table below"
    return chart([line for line in lines if line.points], axis, label=label, side="mean Dice, %", level=level)


_MEASURES = {
    "dice": ("Dice, %", "Dice of each class in the worst case"),
    "removed": ("true pixels decided background, %", "Share of each class's pixels that were decided background"),
    "hallucinated": ("background decided so, %", "Share of the background that was decided to be each class"),
}


def _class_chart(points: list[DensePoint], axis: Axis, measure: str, results: Results) -> Markup:
    """One line for each class but the background, in its colour of the pictures."""
    lines = []
    for index, item in enumerate(points[0].classes[1:]):
        found = _line(item.name, f"a{index % 6}", points, _picker(index + 1, measure), results)
        lines.append(found)
    side, label = _MEASURES[measure]
    drawn = [line for line in lines if line.points]
    return chart(drawn, axis, label=f"{label}; the numbers are in the table below", side=side)


def _picker(index: int, measure: str) -> Callable[[DensePoint], Interval]:
    def pick(point: DensePoint) -> Interval:
        found: Interval = getattr(point.classes[index], measure)
        return found

    return pick
