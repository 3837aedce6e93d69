"""The page of a comparison: what differs in words, the curves of all runs in one picture per norm, the tables."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from percuss.core.comparison import CLEAN, Contrast, HeatContrast, MaskContrast, Standing
from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.report.charts import Axis, Line, Point, chart
from percuss.report.numbers import NORM_WORDS, UNDEFINED, decimal, share, size_text
from percuss.report.rows import NORM_ORDER, is_control
from percuss.report.sections import Section, Table

WORST = "worst"
HEAD = ("runs", "limit", "judged", "first right", "second right", "difference, points", "only first", "only second",
        "p (McNemar)", "p (Holm)")  # fmt: skip


def sections(
    standing: Sequence[Standing],
    contrasts: Sequence[Contrast],
    *,
    findings: Sequence[Finding],
    opening: Sequence[str],
    runs: Table,
    more: Sequence[Section] = (),
) -> list[Section]:
    """The parts of the page: opening words and findings, ``more``, pictures, every difference, what the runs are."""
    sides = list(dict.fromkeys(item.side for item in standing))
    present = {item.norm for item in standing if item.attack == WORST}
    charts = [_chart(norm, sides, standing) for norm in NORM_ORDER if norm in present and norm != "none"]
    others = list(dict.fromkeys(c.attack for c in contrasts if c.attack not in (WORST, CLEAN)))
    explain = (
        "Each image is judged by every run, so runs differ only where one is right and the other wrong. The difference "
        "is the first run's share of images still right minus the second's, with its paired 95 % interval. The last "
        "column corrects for all comparisons of the same attack (Holm)."
    )
    each = [contrast_table(contrasts, standing, attack=name) for name in others]
    return [
        Section("Do the audits differ?", tuple(opening), tuple(findings)),
        *more,
        Section(
            "Worst case over attacks",
            ("Images still right under the strongest attack tried; the band is the 95 % interval of the first run.",),
            charts=tuple(charts),
            tables=(worst_table(contrasts, standing),),
        ),
        Section("Each attack", (explain,), tables=tuple(each)),
        Section("The runs", tables=(runs,)),
    ]


def worst_table(contrasts: Sequence[Contrast], standing: Sequence[Standing]) -> Table:
    """The comparison without attack and at each size of the worst case."""
    clean = contrast_table(contrasts, standing, attack=CLEAN)
    worst = contrast_table(contrasts, standing, attack=WORST)
    return Table(HEAD, clean.body + worst.body, words=3, caption="worst case over attacks")


def mask_table(masks: Sequence[MaskContrast]) -> Table:
    """The mean Dice of every pair of runs at each attack and size, and the difference."""
    return _pairs(masks, "Dice", caption="mean Dice of the masks")


def heat_table(heat: Sequence[HeatContrast]) -> Table:
    """The AUC-PR of every pair of runs at each attack and size, and the difference."""
    return _pairs(heat, "AUC-PR", caption="AUC-PR of the heat maps")


def _pairs(masks: Sequence[MaskContrast | HeatContrast], word: str, *, caption: str) -> Table:
    head = ("runs", "attack", "limit", "judged", f"first, {word}", f"second, {word}", "difference, points")
    body = tuple(
        (
            f"{item.first} − {item.second}",
            item.attack,
            "" if item.attack == CLEAN else f"{item.norm} {size_text(item.budget)}",
            "as stored" if item.stored or item.attack == CLEAN else "as float",
            decimal(item.of_first),
            decimal(item.of_second),
            points(item.difference),
        )
        for item in masks
    )
    return Table(head, body, words=4, caption=caption)


def mask_section(masks: Sequence[MaskContrast]) -> Section:
    """The mean Dice of two runs on the same images, and the difference."""
    text = (
        "Dice of each image over the classes it holds, without the background, mean over the images; the difference is "
        "the first run's minus the second's on the same images, in hundredths, with its 95 % interval."
    )
    return Section("Masks", (text,), tables=(mask_table(masks),))


def heat_section(heat: Sequence[HeatContrast]) -> Section:
    """The AUC-PR of two runs on the same tiles, and the difference."""
    text = (
        "Average precision over the judged cells of all tiles together; the difference is the first run's minus the "
        "second's, in hundredths, with its 95 % interval, for which both are drawn together, slide by slide. The worst "
        "case is the lowest that the attacks of a run reached at that size or a smaller one."
    )
    return Section("Heat maps", (text,), tables=(heat_table(heat),))


def contrast_table(contrasts: Sequence[Contrast], standing: Sequence[Standing], *, attack: str) -> Table:
    """Every difference at one attack."""
    shares = {(s.side, s.attack, s.norm, s.eps): s for s in standing}
    body = []
    for item in contrasts:
        if item.attack != attack:
            continue
        two = [shares[(side, item.attack, item.norm, item.eps)] for side in (item.first, item.second)]
        held = [found.robust_stored if item.stored else found.robust for found in two]
        limit = CLEAN if attack == CLEAN else f"{item.norm} {size_text(item.budget)}"
        body.append(
            (
                f"{item.first} − {item.second}",
                limit,
                "as stored" if item.stored else "as float",
                share(held[0]),
                share(held[1]),
                points(item.difference),
                str(item.first_only),
                str(item.second_only),
                chance(item.p_value),
                chance(item.p_holm),
            )
        )
    return Table(HEAD, tuple(body), words=3, caption=attack + (" (control)" if is_control(attack) else ""))


def points(interval: Interval) -> str:
    """A difference of shares in percentage points with sign and interval: ``+12.5 [3.1, 21.9]``."""
    if interval.value is None:
        return UNDEFINED
    ends = (
        "" if interval.low is None or interval.high is None else f" [{_point(interval.low)}, {_point(interval.high)}]"
    )
    return _point(interval.value) + ends


def _point(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def chance(value: float | None) -> str:
    """A p value for people; a dash where there is none."""
    return "–" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _chart(norm: str, sides: Sequence[str], standing: Sequence[Standing]) -> Markup:
    lines, clean = [], [item for item in standing if item.attack == CLEAN]
    held = [item for item in standing if item.attack == WORST and item.norm == norm and item.eps is not None]
    first = sorted((item for item in held if item.side == sides[0]), key=lambda item: item.eps or 0.0)
    for number, side in enumerate(sides):
        own = sorted((item for item in held if item.side == side), key=lambda item: item.eps or 0.0)
        made = [_spot(item) for item in own if item.robust.value is not None]
        if made:
            name = side if len(side) <= 16 else side[:7] + "…" + side[-8:]
            lines.append(Line(name, "worst" if number == 0 else f"a{(number - 1) % 6}", tuple(made)))
    texts = tuple(size_text(item.budget) for item in first)
    axis = Axis(
        tuple(item.eps or 0.0 for item in first), texts, ("",) * len(first), f"{NORM_WORDS.get(norm, norm)} ({norm})"
    )
    level = None
    if clean and clean[0].robust.value is not None:
        level = (f"{clean[0].side[:20]}, no attack", clean[0].robust.value)
    label = (
        f"Images still right over {NORM_WORDS.get(norm, norm)}, one line per run; the numbers are in the table below"
    )
    return chart(lines, axis, label=label, side="images still right, %", level=level)


def _spot(item: Standing) -> Point:
    found = item.robust
    tip = f"{item.side}, {item.budget}: {share(found)} of {found.n} images still right"
    return Point(item.eps or 0.0, found.value or 0.0, found.low, found.high, tip)
