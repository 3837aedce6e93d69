"""report.html of a reader study: one file, offline, the verdict first, made from its results alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from percuss.core.results import Interval
from percuss.core.study_results import EndpointRecord, StudyResults
from percuss.report.reader_study_curves import threshold_charts
from percuss.report.reader_study_schema import study_text
from percuss.report.reader_study_sizes import cases_table, thresholds_table
from percuss.report.reader_study_tables import (
    agreement_table,
    arms_table,
    classes_table,
    detection_table,
    endpoint_value,
    endpoints_table,
    model_table,
    numbers_table,
    paired_table,
    readers_table,
    several_table,
    table_1b,
)
from percuss.report.reader_study_text import threshold_sentence, without_curve
from percuss.report.schema import write_text
from percuss.report.templates import environment, style

#: Name under which the page holds the SHA-256 of the results.json that it was drawn from.
VOUCHED = "percuss-results-sha256"


def write_study_report(results: StudyResults, path: Path) -> Path:
    """Write the page by rename and give its path; RunError where it cannot be written."""
    write_text(path, study_page(results))
    return path


def study_page(results: StudyResults) -> str:
    """The page as text."""
    template = environment().get_template("reader_study.html.jinja")
    place = {"top": 2, "part": "section", "at": "", "folds": False, "numbers": "results.json"}
    sha256 = hashlib.sha256(study_text(results).encode()).hexdigest()
    return template.render(**shown_of(results), **place, css=style(), vouched=VOUCHED, sha256=sha256)


def shown_of(results: StudyResults) -> dict[str, Any]:
    """What ``reader_study_verdict`` and ``reader_study_parts`` draw, by the names that they have for it.

    Beside it they ask for ``top``, the level of their headings; ``part``, the element around each part; ``at``, what
    the id of a part begins with; ``folds``, whether what is asked for less often is folded; and ``numbers``, the file
    with every number.
    """
    parts = {
        "scores": table_1b(results),
        "classes": classes_table(results),
        "endpoints": endpoints_table(results),
        "details": _details(results),
        "charts": threshold_charts(results.thresholds),
        "sentences": [
            threshold_sentence(item) for item in results.thresholds if item.scope == "all" and item.status != "none"
        ]
        + without_curve(results.thresholds),
        "thresholds": thresholds_table(results.thresholds),
        "by_case": cases_table(results.thresholds),
        "detection": detection_table(results),
        "arms": arms_table(results),
        "several": several_table(results),
        "missing": _missing(results),
        "model": model_table(results),
        "agreement": agreement_table(results, between=False),
        "between": agreement_table(results, between=True),
        "readers": readers_table(results),
    }
    return parts | {
        "results": results,
        "contents": _contents(parts),
        "primary": [_opening(item) for item in results.endpoints if item.role == "primary"],
        "secondary": [item for item in results.endpoints if item.role == "secondary"],
        "severe": any(item.severity == "severe" for item in results.findings),
        "facts": _facts(results),
        "methods": list(dict.fromkeys(_methods(results.model_dump()))),
        "protocol": _protocol(results),
        "vouchers": _vouchers(results),
        "given": given_text,
    }


def given_text(answer: Mapping[str, Any]) -> str:
    """An answer in words: ``tumour, confidence 4``."""
    parts = [str(answer[name]) for name in ("label", "side") if name in answer]
    parts += [f"{name} {answer[name]}" for name in ("confidence", "rating") if name in answer]
    if "same" in answer:
        parts.append("same" if answer["same"] else "different")
    return ", ".join(parts) or "no answer"


def _contents(shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    there = (
        ("verdict", "Verdict", True),
        ("true-positives", "True positives", shown["scores"]),
        ("endpoints", "Endpoints", True),
        ("thresholds", "Detection", shown["charts"] or shown["thresholds"]),
        ("arms", "Every arm", True),
        ("agreement", "Agreement", shown["agreement"] or shown["between"]),
        ("deviations", "Deviations", True),
        ("readers", "Readers", True),
        ("fine", "Fine print", True),
    )
    return [(name, words) for name, words, is_there in there if is_there]


def _opening(item: EndpointRecord) -> dict[str, Any]:
    value = endpoint_value(item)
    big = value.partition(" [")[0]
    small = (
        f"{item.name}, {100 * item.confidence:g} % interval [{value.partition(' [')[2]}" if " [" in value else item.name
    )
    unit = " points" if item.unit == "share" and item.against and not item.sign.startswith("AUC") else ""
    margin = (
        f"; margin {4 * item.margin if item.unit == 'rating' else 100 * item.margin:g}{unit}" if item.margin else ""
    )
    return {"record": item, "big": f"{big}{unit}", "small": f"{small}{margin}; {item.value.n} cases"}


def _facts(results: StudyResults) -> list[tuple[str, str]]:
    done = sum(reader.answered == reader.total > 0 for reader in results.readers)
    answers, asked = (sum(getattr(reader, name) for reader in results.readers) for name in ("answered", "total"))
    worst = [
        sum(item.severity == severity for item in results.deviations) for severity in ("severe", "warning", "info")
    ]
    return [
        ("Readers who answered everything", f"{done} of {results.protocol.readers_planned} planned"),
        ("Answers", f"{answers} of {asked}"),
        ("Cases", f"{results.protocol.cases}, {results.protocol.positives} positive"),
        ("Copies", str(results.protocol.copies)),
        ("Deviations", f"{worst[0]} severe, {worst[1]} warnings, {worst[2]} notes"),
        ("Trail and answers", "vouch for each other" if results.study.trail_sound else "DO NOT vouch for each other"),
    ]


def _details(results: StudyResults) -> list[dict[str, Any]]:
    found = []
    for item in results.endpoints:
        tables = [table for table in (paired_table(item), numbers_table(item)) if table is not None]
        if tables:
            left = f" (left out, not finished: {', '.join(item.left_out)})" if item.left_out else ""
            name = f"{item.name}: what is behind it" if item.role == "primary" else item.name
            found.append({"name": f"{name}{left}", "tables": tables, "primary": item.role == "primary"})
    return found


def _missing(results: StudyResults) -> list[str]:
    """Why readers and cases could not both be taken as random, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for item in results.several_readers:
        if item.missing:
            names = reasons.setdefault(item.missing, [])
            name = "AUC" if item.measure == "auc" else "right answers"
            names += [name] if name not in names else []
    return [
        f"Readers and cases random ({' and '.join(names)}): not computed, it needs {reason}."
        for reason, names in reasons.items()
    ]


def _protocol(results: StudyResults) -> list[tuple[str, str]]:
    asked = results.protocol
    return [
        ("tasks", ", ".join(asked.tasks)),
        ("arms", ", ".join(asked.arms)),
        ("labels", ", ".join(asked.labels) or "none"),
        ("positive", asked.positive or "none"),
        ("cases", str(asked.cases)),
        ("copies", str(asked.copies)),
        ("sessions", f"{asked.sessions}, at least {asked.washout_days:g} days apart"),
        ("copies of a case", f"at least {asked.distance} places apart"),
        ("threshold", f"the size at which {100 * asked.target:g} % are right"),
        ("amendments", str(asked.amendments)),
    ]


def _vouchers(results: StudyResults) -> list[tuple[str, str]]:
    study = results.study
    return [
        ("protocol as frozen", study.protocol_hash),
        ("protocol with its amendments", study.last_hash),
        ("audit trail at closing", f"record {study.trail_number}, {study.trail_hash or 'not noted'}"),
        ("audit", f"run {study.run}, results.json {study.run_sha256}"),
        ("model", study.model_sha256 or "unknown"),
        ("created", study.created),
        ("closed", study.closed),
        ("computed", study.computed),
    ]


def _methods(value: Any) -> Iterator[str]:
    """Methods of every interval of the record, as they come."""
    if isinstance(value, Mapping):
        if set(value) == set(Interval.model_fields):
            defined = value["n"] and not value["method"].startswith(("undefined", "no bounds"))
            yield from [value["method"]] if defined else []
        else:
            for item in value.values():
                yield from _methods(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _methods(item)
