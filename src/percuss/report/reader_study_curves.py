"""Charts of a reader study: what readers detect over the size of the change, beside what flips the model."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from percuss.core.study_results import ThresholdRecord
from percuss.report.charts import Axis, Line, Point, chart
from percuss.report.numbers import NORM_WORDS, plain, share, size_text
from percuss.report.reader_study_text import size_like


def threshold_charts(records: Sequence[ThresholdRecord]) -> list[tuple[str, Markup]]:
    """A title and a chart for each task and norm that has a curve over all readers, noise in the same chart."""
    found = []
    whole = [item for item in records if item.scope == "all" and item.points and max(p.eps for p in item.points) > 0]
    for task, norm in dict.fromkeys((item.task, item.norm) for item in whole):
        of = [item for item in whole if (item.task, item.norm) == (task, norm)]
        what = "which of two is the changed image" if task == "choice" else "pairs called different"
        found.append((f"{norm}: {what}", _chart(of, norm)))
    return found


def _chart(records: Sequence[ThresholdRecord], norm: str) -> Markup:
    lines: list[Line] = []
    flips = next((item.model for item in records if item.model is not None), None)
    tested = sorted({(p.eps, size_text(p.size)) for item in records for p in item.points if p.eps > 0})
    known = [size for size in flips.sizes if size is not None] if flips else []
    ends = [eps for eps, _ in tested] + known
    sizes = dict.fromkeys(sorted({min(ends): "", max(ends): ""}), "") | dict(tested)
    ordered = sorted(sizes)
    for item in records:
        lines += _readers(item, (ordered[0], ordered[-1]))
    if flips is not None and known:
        lines.insert(0, _model(known, flips.cases, ordered[-1]))
    texts = tuple(sizes[eps] or size_like(eps, records[0]) for eps in ordered)
    axis = Axis(tuple(ordered), texts, ("",) * len(ordered), f"size of the change, {norm}: {NORM_WORDS.get(norm, '')}")
    choice = records[0].task == "choice"
    target = (f"target {100 * records[0].target:g} %", records[0].target)
    return chart(
        lines,
        axis,
        label=f"share of answers over the size of the change, and share of cases on which the model flips, {norm}",
        side="right, %" if choice else "called different, %",
        level=target,
        floor=("guessing" if choice else "identical pairs", records[0].guess),
    )


def _readers(item: ThresholdRecord, ends: tuple[float, float]) -> list[Line]:
    """The fitted curve within the axis, and the observed shares with their intervals as squares on it."""
    attacked = item.kind == "adversarial"
    name = "readers" if attacked else f"readers, {item.kind}"
    observed = tuple(
        Point(
            p.eps,
            p.share.value or 0.0,
            p.share.low,
            p.share.high,
            f"{name}, {size_text(p.size)}: {p.right} of {p.n}, {share(p.share)}",
        )
        for p in item.points
        if p.eps > 0
    )
    inside = tuple((eps, value) for eps, value in item.curve if ends[0] <= eps <= ends[1])
    fitted = tuple(Point(eps, value, None, None, f"{name}, fitted: {100 * value:.0f} %") for eps, value in inside)
    style = "a1" if attacked else "noise"
    if len(fitted) < 2:
        return [Line(name, style, observed, bars=True)]
    return [Line(name, f"{style} smooth", fitted), Line("", f"{style} marks", observed, bars=True)]


def _model(known: Sequence[float], cases: int, largest: float) -> Line:
    """Share of cases on which the model has flipped up to each size."""
    points = []
    for eps in sorted(set(known)):
        count = sum(size <= eps for size in known)
        points.append(Point(eps, count / cases, None, None, f"model: {count} of {cases} flipped up to {plain(eps)}"))
    if points[-1].eps < largest:
        last = points[-1]
        points.append(Point(largest, last.value, None, None, last.tip))
    return Line("model flips", "a0", tuple(points), step=True)
