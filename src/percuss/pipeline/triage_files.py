"""The files of a triage: triage.json, the list of images to refer, the page, and the sensitivities."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from percuss.core.errors import RunError
from percuss.core.images import PixelRange
from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.core.triage import Triage, triage_from
from percuss.pipeline import environment
from percuss.pipeline.parts import Work
from percuss.pipeline.plain_values import as_plain
from percuss.pipeline.triage_search import Probe
from percuss.report.numbers import NORM_WORDS
from percuss.report.sections import Table, write_sections
from percuss.report.triage import paper_table, rules_table, sections
from percuss.store.folder import now

NAME = "percuss-triage-1"
TABLE = "triage.parquet"


@dataclass(frozen=True)
class Setup:
    """How a triage was made: the search, what it was calibrated on in words, whether that is what it judges."""

    probe: Probe
    calibrated_on: str
    same: bool
    share: float


@dataclass(frozen=True)
class Triaged:
    """A finished triage: the run's folder, its numbers, doubts, and triage.json as plain values."""

    path: Path
    found: Triage
    findings: tuple[Finding, ...]
    record: dict[str, Any]

    @property
    def table(self) -> Table:
        """Both rules as text cells."""
        return rules_table(self.found)

    @property
    def refer(self) -> pd.DataFrame:
        """The images to refer, most sensitive first."""
        return pd.read_csv(self.path / "refer.csv", dtype={"id": str})


def write_files(
    work: Work, setup: Setup, *, rows: pd.DataFrame, found: Triage, told: tuple[list[Finding], str]
) -> dict[str, Any]:
    """Write triage.parquet, refer.csv, triage.json and triage.html; triage.json as plain values.

    ``told`` are the findings and the mark by which the same triage is known again.
    """
    findings, mark = told
    folder, spec = work.folder, work.plan.data
    folder.write_table(TABLE, rows)
    folder.write("refer.csv", _refer(rows, found, work.model).to_csv(index=False))
    paper = paper_table(found, spec)
    record = {
        "kind": NAME,
        "percuss_version": environment.version(),
        "run_id": folder.run_id,
        "made": now(),
        "mark": mark,
        "share": setup.share,
        "calibrated_on": {
            "what": setup.calibrated_on,
            "images": int((rows["role"] == ("judged" if setup.same else "calibration")).sum()),
            "same_as_judged": setup.same,
        },
        "search": {
            "norm": setup.probe.sizes[0].norm.value,
            "attack": setup.probe.attack,
            "settings": setup.probe.settings,
            "sizes": [budget.eps(work.chosen.shape, work.chosen.pixels) for budget in setup.probe.sizes],
            "aim": "the model's own decision",
        },
        **as_plain(asdict(found)),
        "tables": [{"id": "table-2", "title": paper.caption, "columns": list(paper.head), "rows": _lists(paper)}],
        "findings": [asdict(item) for item in findings],
    }
    folder.write("triage.json", json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    write_sections(
        folder.path / "triage.html",
        sections(found, opening=_opening(work, setup, rows, found), findings=findings, tables=[paper]),
        title="which images a human should see",
        meta=f"{now()[:10]} · run {folder.run_id[:12]}",
        version=environment.version(),
    )
    return record


def read_triaged(path: Path) -> Triaged:
    """A finished triage from its run; RunError where there is none."""
    try:
        record = json.loads((path / "triage.json").read_text(encoding="utf-8"))
        found = triage_from(record)
    except (OSError, ValueError, KeyError) as error:
        raise RunError("the run holds no triage", value=path, next_step="give percuss triage RUN") from error
    return Triaged(path, found, tuple(Finding(**item) for item in record["findings"]), record)


def _lists(table: Table) -> list[list[str]]:
    return [list(row) for row in table.body]


def _refer(rows: pd.DataFrame, found: Triage, model: Model) -> pd.DataFrame:
    """Judged images at or below the threshold of sensitivity, most sensitive first."""
    judged = rows[rows["role"] == "judged"]
    limit, sure = found.sensitivity.threshold, found.confidence.threshold
    hit = judged[judged["sensitivity"] <= limit] if limit is not None else judged[:0]
    hit = hit.sort_values(["sensitivity", "log_odds", "id"], kind="stable")
    by_confidence = [sure is not None and value <= sure for value in hit["confidence"]]
    names = model.classes
    shown = [names[int(text)] if model.task == "classify" else text for text in hit["prediction"]]
    return pd.DataFrame(
        {
            "id": hit["id"],
            "group": hit["group"],
            "decision": shown,
            "sensitivity": hit["sensitivity"],
            "confidence": hit["confidence"],
            "also_by_confidence": by_confidence,
        }
    )


def _opening(work: Work, setup: Setup, rows: pd.DataFrame, found: Triage) -> list[str]:
    probe, counts = setup.probe, rows["role"].value_counts()
    top = probe.sizes[-1]
    size = _size_text(top.eps(work.chosen.shape, work.chosen.pixels), top.norm.value, work.chosen.pixels)
    limit = found.sensitivity.threshold
    referred = "none" if limit is None else f"up to {_size_text(limit, top.norm.value, work.chosen.pixels)}"
    where = (
        "the same images, so that they know them (the published protocol)"
        if setup.same
        else f"{counts.get('calibration', 0)} images ({setup.calibrated_on}), whose labels are not used"
    )
    return [
        f"The {setup.share:.0%} most sensitive of {counts.get('judged', 0)} images go to a human, the model decides "
        f"the rest. Thresholds were chosen on {where}.",
        f"Sensitivity of an image: the size ({top.norm.value}, {NORM_WORDS[top.norm.value]}) of the smallest change "
        f"found that alters the model's own decision, by the attack {probe.attack} up to {size}. It needs no label. "
        f"Referred: {referred}; the table gives the threshold in [0, 1] units.",
    ]


def _size_text(eps: float, norm: str, pixels: PixelRange) -> str:
    return f"{eps * pixels.span:.4g} {pixels.unit}" if norm == "linf" else f"{eps:.4g}"
