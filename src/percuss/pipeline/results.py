"""From rows to results.json, per_image.csv and report.html; works on a finished run without images or model."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pandas as pd

from percuss.core.errors import RunError
from percuss.core.images import DENSE
from percuss.core.outcome import Finding
from percuss.core.results import CurvePoint, FindingRecord, Heat, Results
from percuss.evaluate.code_verdict import code_verdict
from percuss.evaluate.curves import CONTROLS
from percuss.evaluate.dense_summary import dense_summary, with_quality
from percuss.evaluate.export import kept_images, per_image
from percuss.evaluate.heat_comparison import paired_gap
from percuss.evaluate.heat_findings import heat_findings
from percuss.evaluate.heat_summary import heat_summary
from percuss.evaluate.summary import summarise
from percuss.evaluate.survival import survival_table
from percuss.pipeline.heat import MEANING
from percuss.pipeline.masks import CLEAN, TABLE
from percuss.pipeline.requirements import judge
from percuss.pipeline.study_in_run import kept_studies
from percuss.report.page import write_report
from percuss.report.schema import write_results
from percuss.store.folder import RunFolder

#: What the results say beyond the rows, so that they can be made anew: data, model, findings of the pipeline.
CONTEXT = "context.json"
#: One row per kept image and storage format, where ``percuss survive`` was run.
SURVIVAL = "survival.parquet"
#: What of the context the results hold in another form, or not.
_OWN = ("findings", "findings_before", "check_effort", "require", "not_exhaustive")
#: What is not tested until then.
LOSSY = "lossy storage (JPEG) of the attacked images"


def write_outcome(folder: RunFolder) -> Results:
    """Write results.json, per_image.csv, images.csv and report.html from the rows and context of a run.

    RunError where a table or the context is missing or damaged.
    """
    context, rows, clean = read_context(folder), folder.read_table("rows.parquet"), folder.read_table("clean.parquet")
    data, seed, table, dense = context["data"], context["seed"], None, None
    if data["task"] in DENSE:
        table = folder.read_table(TABLE)
        dense = dense_summary(table, classes=data["classes"], seed=seed)
    heat = _heat(folder, context, table) if table is not None and data["task"] == "heatmap" else None
    summary = summarise(rows, clean, classes=data["classes"], task=data["task"], seed=seed, dense=dense)
    own = [] if heat is None or table is None else _of_heat(heat, table, seed)
    findings = joined(context["findings"], summary.findings + own)
    fixed = {key: value for key, value in context.items() if key not in _OWN}
    survival = []
    if (folder.path / SURVIVAL).exists():
        survival = survival_table(folder.read_table(SURVIVAL), seed)
        fixed["not_tested"] = [item for item in fixed["not_tested"] if not survival or item != LOSSY]
    results = Results(
        **fixed,
        run_id=folder.run_id,
        started=folder.manifest["started"],
        finished=folder.manifest["finished"],
        clean=summary.clean,
        curves=summary.curves,
        sensitivity=summary.sensitivity,
        findings=findings,
        survival=survival,
        dense=dense,
        heat=heat,
        requirements=judge(context["require"], summary.curves, heat=heat),
        reader_study=kept_studies(folder),
    )
    write_results(results, folder.path / "results.json")
    folder.write("per_image.csv", per_image(rows, dense=table).to_csv(index=False))
    folder.write("images.csv", kept_images(rows).to_csv(index=False))
    write_report(folder.path)
    return results


def _of_heat(heat: Heat, table: pd.DataFrame, seed: int) -> list[Finding]:
    """Findings on heat maps, with the plain word on a sparse code."""
    gap = partial(paired_gap, table, seed=seed)
    return heat_findings(heat) + code_verdict(heat.points, clean=heat.clean, paired=gap)


def _heat(folder: RunFolder, context: dict[str, Any], table: pd.DataFrame) -> Heat:
    """AUC-PR of the run's heat maps; which slides have outlines that leave out tumour comes from the context."""
    shape = next(iter(table["shape"]))
    meaning = folder.read_table(MEANING) if (folder.path / MEANING).exists() else None
    cell = int(context["data"]["shape"][1]) // int(shape[0])
    found = heat_summary(table, cell=cell, seed=context["seed"], meaning=meaning)
    return found.model_copy(update={"not_exhaustive": list(context.get("not_exhaustive", ()))})


def joined(known: list[dict[str, Any]], rows: list[Finding]) -> list[FindingRecord]:
    """Those of the pipeline and of the rows; where the rows say the same as gravely, theirs stands alone."""
    rank = {"info": 0, "warning": 1, "severe": 2}
    said = {item.id: max(rank[other.severity] for other in rows if other.id == item.id) for item in rows}
    first = [FindingRecord.model_validate(item) for item in known]
    kept = [item for item in first if rank[item.severity] > said.get(item.id, -1)]
    return kept + [FindingRecord.model_validate(vars(item)) for item in rows]


def read_context(folder: RunFolder) -> dict[str, Any]:
    """What is known of a run beside its rows; RunError where it is not there yet."""
    try:
        found: dict[str, Any] = json.loads((folder.path / CONTEXT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            "the run is not finished",
            value=folder.path,
            next_step="give the same percuss audit command again; it goes on where it was",
        ) from error
    return found


def paper_finding(rows: pd.DataFrame, clean: pd.DataFrame) -> Finding:
    """Why accuracy under attack cannot fall below the clean error by the paper's protocol, with its numbers."""
    real = rows[rows["attack"] != "noise"]
    wrong = int((~clean["correct"].astype(bool)).sum())
    again = real[~real["correct"].astype(bool) & (real["prediction"] == real["label"])]["id"].nunique()
    scored = real.assign(right=real["prediction"].eq(real["label"]), cell=real["attack"] + " " + real["budget"])
    share = scored.groupby("cell", sort=False)["right"].mean()
    lowest = float(share.min()) if len(share) else float("nan")
    error = wrong / max(len(clean), 1)
    evidence = {str(cell): float(value) for cell, value in share.items()}
    return Finding(
        "floor-at-clean-error",
        "warning",
        f"By the paper's protocol attacks lead away from the model's own prediction, so a flip can turn one of the "
        f"{wrong} clean errors into a right answer; it did for {again}. Accuracy scored that way falls to "
        f"{lowest:.1%} and, with two classes, not below the clean error of {error:.1%}; the curves of this report "
        f"count an image that was wrong before as wrong.",
        {"clean_error": error, "turned_right": again, "accuracy_as_published": evidence},
    )


def paper_finding_of_maps(table: pd.DataFrame, classes: int) -> Finding:
    """What the paper's protocol means for class maps: an attack may make them better, as the truth has it.

    Args:
        table: ``dense.parquet``.
        classes: number of classes.
    """
    scored = with_quality(table, classes=classes)
    before = scored[scored["attack"] == CLEAN].set_index("id")["quality"]
    after = scored[~scored["attack"].isin([CLEAN, *CONTROLS])].groupby("id")["quality"].max()
    better = int((after > before.reindex(after.index)).sum())
    return Finding(
        "floor-at-clean-error",
        "warning",
        f"By the paper's protocol attacks lead away from the model's own masks, not from the truth, so that a poor "
        f"mask can become better: {better} of {len(before)} images had a higher Dice under an attack than before. Dice "
        f"and flips of this report are measured against the truth.",
        {"better": better, "of": len(before)},
    )


def worst_points(results: Results) -> list[CurvePoint]:
    """The worst case over attacks, in the order of the results."""
    return [point for point in results.curves if point.attack == "worst"]
