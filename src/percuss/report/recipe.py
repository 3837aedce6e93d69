"""The page of a reproduced study: its tables beside the published ones, curves, and the way to each step's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup, escape

from percuss.core.errors import RunError
from percuss.core.outcome import Finding, Severity
from percuss.core.recipe import FilledTable, StepRecord, StudyResults
from percuss.report.curves import norm_parts
from percuss.report.schema import read_results
from percuss.report.sections import Section, Table, as_source
from percuss.report.study_figures import Figure, figure_sections

_GRAVE = {"severe": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Shown:
    """Where the run lies, whose pictures are taken into the page, and the figures of the recipe."""

    root: Path
    figures: tuple[Figure, ...] = ()


def sections(found: StudyResults, about: Sequence[str], shown: Shown) -> list[Section]:
    """The parts of the page: what it is with its doubts, tables, figures, notes, steps, what is not covered.

    A recipe without figures shows the curves of its audits and the picture of each universal change.
    """
    made = [_opening(found, about)]
    made += [_table(table) for table in found.tables]
    made += figure_sections(shown.figures)
    if not shown.figures:
        made += [part for step in found.steps for part in _pictures(step, shown, several=len(found.data) > 1)]
    notes = _findings(found, grave=False)
    if notes:
        made.append(Section("What the steps noted", findings=notes))
    made.append(_steps(found))
    if found.not_covered:
        made.append(Section("What of the study is not here", found.not_covered))
    return made


def _opening(found: StudyResults, about: Sequence[str]) -> Section:
    words = [f"After {found.paper}", *about]
    sets = "; ".join(f"{name}: {spec}" for name, spec in found.data.items())
    protocol = (
        "The published protocol, with the flaws that the notes below name."
        if found.protocol == "paper"
        else "The corrected protocol; --protocol paper repeats the published one, with its flaws."
    )
    words += [f"Images: {sets}.", protocol]
    if found.quick:
        words.append(
            "A quick run, on few images for few epochs: it shows that the steps work; its numbers mean nothing."
        )
    if any(spec.startswith("synthetic:") for spec in found.data.values()):
        words.append("Synthetic images stand in for those of the study, so its numbers cannot be expected here.")
    return Section(found.title, tuple(words), _findings(found, grave=True))


def _findings(found: StudyResults, *, grave: bool) -> tuple[Finding, ...]:
    """Those that cast doubt, gravest first, or the rest; what several steps say in the same words stands once."""
    ordered = sorted(found.findings, key=lambda item: _GRAVE[item.severity])
    steps: dict[tuple[str, Severity, str], list[str]] = {}
    for item in ordered:
        if (item.severity != "info") == grave:
            steps.setdefault((item.id, item.severity, item.message), []).append(item.step)
    return tuple(Finding(key, rank, f"{_named(names)}: {text}", {}) for (key, rank, text), names in steps.items())


def _named(steps: Sequence[str]) -> str:
    """Up to three steps by name, and how many more."""
    more = f" and {len(steps) - 3} more steps" if len(steps) > 4 else ""
    return ", ".join(steps[:3] if more else steps) + more


def _table(table: FilledTable) -> Section:
    said = table.published
    source = (f"Published numbers: {said.source}.",) if said is not None and said.source else ()
    return Section(table.title, (*source, *table.notes), tables=(beside(table),))


def beside(table: FilledTable, *, titled: bool = False) -> Table:
    """A filled table as text, the published columns beside ours."""
    head, body, said = list(table.columns), [list(row) for row in table.text], table.published
    if said is not None:
        head += [f"published: {name}" for name in said.columns]
        body = [[*ours, *theirs] for ours, theirs in zip(body, said.rows, strict=True)]
    shown = tuple(tuple(row) for row in body)
    return Table(tuple(head), shown, words=table.words, caption=table.title if titled else "")


def _pictures(step: StepRecord, shown: Shown, *, several: bool) -> list[Section]:
    if step.state != "done":
        return []
    name = f"{step.id}, {step.data}" if several else step.id
    way = (_link(step),)
    if step.kind == "audit":
        try:
            results = read_results(shown.root / step.folder / "results.json")
        except RunError:
            return []
        drawn = [part.curve for part in norm_parts(results, {}) if part.curve is not None]
        return [Section(f"Curves of {name}", way, charts=tuple(drawn))] if drawn else []
    picture = shown.root / step.folder / "perturbation.png"
    if step.kind == "universal" and picture.exists():
        alt = "the change, scaled to be seen"
        return [Section(f"The change of {name}", way, pictures=((alt, as_source(picture.read_bytes())),))]
    return []


def _link(step: StepRecord) -> str:
    return Markup(f'<a href="{escape(quote(step.page))}">The page of this step</a>') if step.page else ""


def _steps(found: StudyResults) -> Section:
    body = [
        (item.data, item.id, item.kind, item.about, item.reason or item.state, item.folder, f"{item.seconds:.0f} s")
        for item in found.steps
    ]
    links = [item for item in found.steps if item.page]
    list_ = Markup(" · ").join(
        Markup(f'<a href="{escape(quote(item.page))}">{escape(item.data)}/{escape(item.id)}</a>') for item in links
    )
    head = ("images", "step", "block", "what for", "state", "folder", "time")
    return Section("Steps", (Markup("Pages of the steps: ") + list_,), tables=(Table(head, tuple(body), words=6),))
