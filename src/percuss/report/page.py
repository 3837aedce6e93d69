"""report.html: one file, offline, readable without JavaScript, made from a finished run folder."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from markupsafe import Markup

from percuss.core.results import Clean, Results
from percuss.report import rows as outcome_rows
from percuss.report.code_part import code_part
from percuss.report.curves import norm_parts
from percuss.report.dense import HEADS, dense_part
from percuss.report.gallery import gallery
from percuss.report.heat_part import HEAT_HEADS, heat_intervals, heat_part
from percuss.report.heat_pictures import scale_css
from percuss.report.heat_rows import with_loss
from percuss.report.mask_rows import WORST_HEAD, load_masks, with_dice, with_lowest, worst_images
from percuss.report.masks import FATES, legend
from percuss.report.numbers import counted, counted_share, decimal, share, whole
from percuss.report.reader_study_section import study_sections
from percuss.report.remedies import REMEDIES
from percuss.report.schema import read_results, write_text
from percuss.report.storage import SURVIVAL_HEAD, SURVIVAL_HEAT, survival_rows
from percuss.report.templates import environment, style
from percuss.report.verdict import headline, requirement_lines, verdict

HERE = Path(__file__).parent
STATIC_ROWS = 200
_SEVERITY = {"severe": 0, "warning": 1, "info": 2}


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a finished run folder and return its path.

    Reads results.json, rows.parquet, clean.parquet and the stored PNGs; links per_image.csv, which the pipeline
    writes. Raises RunError where the run is unfinished or damaged.
    """
    results = read_results(folder / "results.json")
    rows, clean = outcome_rows.load(folder)
    flips = {
        norm: (
            outcome_rows.flip_sizes(rows, clean, norm, stored=False),
            outcome_rows.flip_sizes(rows, clean, norm, stored=True),
        )
        for norm in outcome_rows.norms(rows)
    }
    point, masks = headline(results), None
    if results.dense is not None:
        masks = load_masks(folder, len(results.data.classes))
        rows = with_dice(rows, masks)
        rows = with_loss(rows, masks) if results.heat is not None else rows
    lines = outcome_rows.table(rows, clean, results.data)
    if masks is not None:
        lines = with_lowest(lines, masks)
    path = folder / "report.html"
    write_text(
        path,
        _render(
            results=results,
            verdict=verdict(results, f", split {results.data.split}" if results.data.split else ""),
            parts=norm_parts(results, flips),
            dense=dense_part(results),
            heat=heat_part(results),
            code=code_part(folder),
            studies=study_sections(folder, results),
            headline=point.budget if point else "",
            worst_images=worst_images(masks, point) if masks is not None and point else [],
            gallery=gallery(folder, results, rows, norm=point.norm if point else None),
            lines=lines[:STATIC_ROWS],
            untried=any(line[4] == "untried" for line in lines),
            n_lines=len(lines),
            payload=_payload(lines),
        ),
    )
    return path


def _render(**values: Any) -> str:
    results: Results = values["results"]
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            **values,
            css=style(),
            script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
            findings=sorted(results.findings, key=lambda finding: _SEVERITY[finding.severity]),
            requirements=requirement_lines(results),
            clean=_clean(results.clean, results.data.classes),
            attacks=_attack_table(results.attacks),
            repeat=_command(results),
            methods=_methods(results),
            remedies={finding.id: REMEDIES.get(finding.id, "") for finding in results.findings},
            checks=[[item.check, "flagged" if item.flagged else "fine", item.message] for item in results.checks],
            survival=survival_rows(results),
            survival_head=SURVIVAL_HEAT if results.heat else SURVIVAL_HEAD,
            heads=HEADS | {"worst": WORST_HEAD},
            heat_heads=HEAT_HEADS,
            scale=scale_css(),
            legend=legend(results.data.classes),
            fates=FATES,
            counted=counted,
            whole=whole,
            show=_show,
        )
    )


def _payload(lines: list[list[Any]]) -> Markup:
    """Rows as JSON that is safe inside a script element."""
    text = json.dumps(lines, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _clean(clean: Clean, classes: list[str]) -> dict[str, Any]:
    confusion = None
    if clean.confusion is not None:
        confusion = [
            (name, [(count, round(100 * count / max(sum(row), 1))) for count in row], sum(row))
            for name, row in zip(classes, clean.confusion, strict=False)
        ]
    return {
        "accuracy": counted_share(clean.accuracy),
        "balanced": share(clean.balanced_accuracy),
        "auc": decimal(clean.auc),
        "per_class": [(name, counted(value), share(value)) for name, value in clean.per_class.items()],
        "confusion": confusion,
    }


def _attack_table(attacks: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    columns = list(dict.fromkeys(key for attack in attacks for key in attack))
    return columns, [[_show(attack.get(key, "–")) for key in columns] for attack in attacks]


def _show(value: Any) -> str:
    """A setting as text: mappings and lists flattened, None as a dash."""
    if value is None or value in ("", {}, []):
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_show(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_show(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _command(results: Results) -> str:
    """The command that repeats the run: as recorded, else rebuilt from the record."""
    recorded = results.environment.get("command")
    if recorded:
        return recorded
    names = list(dict.fromkeys(str(attack["name"]) for attack in results.attacks if attack.get("name")))
    if results.model.spec == "module":  # a network handed over in Python, which no command can name
        return (
            f"percuss.audit(data={results.data.spec!r}, model=NETWORK, attacks={names!r}, "
            f"budgets={list(results.budgets)!r}, seed={results.seed}, out='RUN')"
        )
    words = ["percuss", "audit", "--data", results.data.spec, "--model", results.model.spec, "--out", "RUN"]
    if results.data.split:
        words += ["--split", results.data.split]
    if names:
        words += ["--attack", ",".join(names)]
    for budget in results.budgets:
        words += ["--budget", budget]
    return shlex.join([*words, "--seed", str(results.seed)])


def _methods(results: Results) -> list[str]:
    """Each way an interval was made, once, in the order of the report."""
    clean = results.clean
    found = [clean.accuracy, clean.balanced_accuracy, clean.auc, *clean.per_class.values()]
    for point in results.curves:
        found += [point.robust_accuracy, point.success_rate, point.confidence_change]
    found += [interval for item in results.survival for interval in (item.flips, item.clean_right)]
    found += [area for item in results.survival for area in (item.auc_pr, item.auc_pr_clean) if area is not None]
    for item in [results.dense.clean, *results.dense.points] if results.dense else []:
        found += [item.dice, item.pixel_accuracy, item.loss, *(one.dice for one in item.classes)]
    found += heat_intervals(results.heat) if results.heat else []
    return list(dict.fromkeys(interval.method for interval in found if interval.method))
