"""The page of a triage: both rules side by side, the risk-coverage curve, and the table as it was published."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from percuss.core.outcome import Finding
from percuss.core.triage import Rule, Triage
from percuss.report.charts import Axis, Line, Point, chart
from percuss.report.numbers import decimal, percent, plain, share
from percuss.report.sections import Section, Table

_HEAD = ("refer by", "threshold", "kept by the model", "accuracy kept", "accuracy deferred", "gain", "AURC")
_STYLES = {"sensitivity": "worst", "confidence": "a1"}


def sections(
    found: Triage, *, opening: Sequence[str], findings: Sequence[Finding], tables: Sequence[Table]
) -> list[Section]:
    """The parts of the page; ``tables`` stand at the end."""
    explain = (
        "Images at or below a threshold are referred. Coverage: share kept. Gain: accuracy of what is kept minus "
        "accuracy of all. Images that no change up to the largest size alters "
        f"({found.n_censored} of {found.n}) are the least sensitive, all alike, and never referred.",
        "AURC: mean error among the images kept, over every coverage; smaller is better. Referring at random gives "
        f"{found.aurc_random:.4f}, referring every error first {found.aurc_best:.4f}. Rank correlation of sensitivity "
        f"and confidence: {'not defined' if found.rank_correlation is None else f'{found.rank_correlation:.2f}'}.",
        "Intervals are 95 %, over patients where they are known; thresholds are held fixed in them.",
    )
    answer = (*opening, found.answer)
    return [
        Section("Which images should a human see?", answer, tuple(findings), tables=(rules_table(found),)),
        Section("Error among the images kept", charts=(risk_chart(found),), tables=(differences_table(found),)),
        Section("What was counted", explain),
        Section("As published", tables=tuple(tables)),
    ]


def rules_table(found: Triage) -> Table:
    """Both rules, and the model alone."""
    body = [
        (
            rule.name,
            plain(rule.threshold) if rule.name == "sensitivity" else _probability(rule.threshold),
            share(rule.coverage),
            share(rule.kept),
            share(rule.deferred),
            _points(rule),
            decimal(rule.aurc, 4),
        )
        for rule in found.rules
    ]
    alone = ("no one", "–", percent(1.0), share(found.accuracy), "–", "–", f"{found.aurc_random:.4f} (random order)")
    return Table(_HEAD, (*body, alone))


def differences_table(found: Triage) -> Table:
    """Sensitivity against confidence, on the same images."""
    body = (
        ("AURC, confidence minus sensitivity", decimal(found.aurc_difference, 4, signed=True)),
        ("accuracy kept, sensitivity minus confidence", decimal(found.kept_difference, 4, signed=True)),
    )
    return Table(("difference (above 0: sensitivity is better)", "value"), body)


def paper_table(found: Triage, data: str) -> Table:
    """Accuracy before and after leaving the most sensitive share out: the shape of Joel et al. (2022), Table 2."""
    rule = found.sensitivity
    gain = "–" if rule.gain.value is None else f"{100 * rule.gain.value:+.2f}"
    referred = "–" if rule.coverage.value is None else f"{100 * (1 - rule.coverage.value):.1f}"
    kept = "–" if rule.kept.value is None else f"{100 * rule.kept.value:.2f}"
    everything = "–" if found.accuracy.value is None else f"{100 * found.accuracy.value:.2f}"
    return Table(
        ("data set", "accuracy, all images (%)", "without the most sensitive (%)", "change (points)", "left out (%)"),
        ((data, everything, kept, gain, referred),),
        caption=f"Accuracy without the {100 * found.share:g} % most sensitive images (Joel et al. 2022, Table 2)",
    )


def risk_chart(found: Triage) -> Markup:
    """Error among the images kept over coverage, one line for each rule."""
    lines = tuple(
        Line(
            rule.name,
            _STYLES[rule.name],
            tuple(
                Point(coverage, risk, None, None, f"{rule.name}: {coverage:.0%} kept, {risk:.1%} of them wrong")
                for coverage, risk in rule.curve[:: max(1, len(rule.curve) // 25)]
            ),
        )
        for rule in reversed(found.rules)
    )
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    axis = Axis(ticks, tuple(f"{tick:.0%}" for tick in ticks), ("",) * len(ticks), "share of images kept")
    level = ("error of all", found.aurc_random)
    return chart(lines, axis, label="error among the images kept, over the share kept", side="wrong, %", level=level)


def _probability(value: float | None) -> str:
    return "–" if value is None else f"{value:.5f}"


def _points(rule: Rule) -> str:
    return decimal(rule.gain, 3, signed=True)
