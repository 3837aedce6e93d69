"""An audit from plan to report: open, check, clean pass, attacks, numbers, pages; goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from percuss.attacks.alarms.run import alarm_findings
from percuss.attacks.check import check_model
from percuss.core.errors import NoGradientError
from percuss.core.images import DENSE, ImageSet
from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.evaluate.curves import CONTROLS
from percuss.pipeline import environment, heat, masks
from percuss.pipeline.alarms import alarm_records
from percuss.pipeline.assemble import attack_rows, clean_rows
from percuss.pipeline.code_pictures import has_code, write_code_pictures
from percuss.pipeline.context import describe, noted_images, own_findings
from percuss.pipeline.executors import serial
from percuss.pipeline.inputs import Chosen, check_sizes, data_fingerprint, open_images, open_model, read_chunk
from percuss.pipeline.parts import Portion, Unit, Work, attack_part
from percuss.pipeline.plan import CHUNK, AuditPlan, fitting
from percuss.pipeline.progress import Progress
from percuss.pipeline.results import CONTEXT, paper_finding, paper_finding_of_maps, read_context, write_outcome
from percuss.pipeline.run import Run
from percuss.pipeline.study_in_run import keep_studies
from percuss.store.folder import RunFolder, check_free, now

#: Attacks that a model without gradient can be asked with.
ASK_NO_GRADIENT = CONTROLS | {"square"}


def run_audit(
    plan: AuditPlan,
    *,
    data: ImageSet | None = None,
    model: Model | nn.Module | None = None,
    out: Path,
    progress: Progress | None = None,
    command: str = "",
) -> Run:
    """Audit a model; a folder of the same run is continued, a finished one is returned as it is.

    Args:
        plan: what to do (``make_plan``).
        data, model: used instead of the plan's specs where given.
        out: the run folder.
        progress: told what happens.
        command: recorded as the way to repeat the run.

    Raises:
        PercussError: wrong input, a model that cannot be judged, a folder of another run, a full disk.
    """
    say = progress or Progress()
    check_free(out)
    device = environment.pick_device(plan.device)
    with environment.threads(plan.threads):
        chosen = open_images(plan, data)
        check_sizes(plan.by_norm(), chosen)
        judged = open_model(plan, model, chosen).to(device)
        plan = fitting(plan, judged)
        findings = _checked(judged, chosen, without=set(plan.attacks) <= ASK_NO_GRADIENT)
        folder = RunFolder.start(out, _identity(plan, chosen, judged, device))
        try:
            work = Work(plan, chosen, judged, device, folder)
            if not _already_done(work, say):
                _compute(work, say, findings=findings, command=command)
                write_outcome(folder)
                folder.finish()
                folder.drop("parts")
        finally:
            folder.close()
    return Run(out)


def rebuild(out: Path, *, studies: Sequence[Path] = (), forget_studies: bool = False) -> Run:
    """Write results.json, per_image.csv and report.html of a finished run anew from its rows.

    Args:
        out: the run folder.
        studies: folders of closed reader studies of this run, kept in it from now on (``study_in_run``).
        forget_studies: those that it kept before go.
    """
    folder = RunFolder.existing(out)
    read_context(folder)
    if studies or forget_studies:
        keep_studies(folder, studies, forget=forget_studies)
    write_outcome(folder)
    folder.finish()
    return Run(out)


def _identity(plan: AuditPlan, chosen: Chosen, model: Model, device: torch.device) -> dict[str, str]:
    return plan.identity() | {
        "images (--data, --split, --limit)": data_fingerprint(chosen),
        "model (--model, --weights)": model.fingerprint(),
        "Percuss version": environment.version(),
        "device": device.type,
        "portion": str(CHUNK),
    }


def _already_done(work: Work, say: Progress) -> bool:
    """A finished run of the same identity: rebuilt where other limits are asked, redone where files are damaged."""
    folder = work.folder
    if not folder.finished:
        return False
    damaged = folder.damaged()
    if damaged:
        say.line(f"{len(damaged)} files of the finished run are gone or changed, first {damaged[0]}: computing again")
        folder.reopen()
        return False
    context = read_context(folder)
    wanted = context | {"require": list(work.plan.require)}
    if context["check_effort"] != work.plan.checks:
        clean, rows = folder.read_table("clean.parquet"), folder.read_table("rows.parquet")
        wanted |= _checks(work, clean, rows, known=_findings(context["findings_before"]), say=say)
    if wanted != context:
        _write_context(folder, wanted)
        write_outcome(folder)
        folder.finish()
    folder.drop("parts")  # still there where a kill fell between the last two steps
    say.line("the run was finished before; nothing to compute")
    return True


def _compute(work: Work, say: Progress, *, findings: list[Finding], command: str) -> None:
    """Clean pass, check and attacks; leaves plan, rows, clean rows and context in the folder."""
    folder, chosen = work.folder, work.chosen
    folder.write("plan.toml", work.plan.toml())
    portions = _portions(work, say)
    parts = _attacked(work, portions, say)
    clean = clean_rows([portion.clean for portion in portions])
    folder.write_table("clean.parquet", clean)
    rows = attack_rows(work, parts)
    folder.write_table("rows.parquet", rows)
    maps = None
    if work.model.task in DENSE:
        keys = [portion.clean.attrs["key"] for portion in portions if len(portion.clean)]
        keys += [part.attrs["key"] for part in parts]
        maps = masks.whole_table(folder, keys, rows)
        folder.write_table(masks.TABLE, maps)
    meaning = heat.whole_meaning(folder, parts) if work.model.task == "heatmap" else None
    if meaning is not None:
        folder.write_table(heat.MEANING, meaning)
    bad = [item for portion in portions for item in portion.bad]
    findings = [*findings, *own_findings(work, bad, parts), *noted_images([portion.noted for portion in portions])]
    if work.plan.protocol == "paper":
        paper = paper_finding(rows, clean) if maps is None else paper_finding_of_maps(maps, len(work.model.classes))
        findings.append(paper)
    seconds = sum(part.attrs["seconds"] for part in [*parts, *(portion.clean for portion in portions)])
    checked = _checks(work, clean, rows, known=findings, say=say)
    folder.manifest["finished"] = now()
    context = describe(work, clean, bad, command=command)
    _write_context(folder, context | checked | {"seconds": float(seconds)})
    say.line(f"{len(clean)} images of {len(chosen.ids)} judged, {len(rows)} rows")


def _checks(
    work: Work, clean: pd.DataFrame, rows: pd.DataFrame, *, known: list[Finding], say: Progress
) -> dict[str, Any]:
    """What the context holds of the checks, and of the findings with theirs."""
    effort, records = work.plan.checks, list[dict[str, Any]]()
    if effort != "off" and any(name not in CONTROLS for name in work.plan.attacks):
        say.line(f"checks of masked gradients ({effort})")
        records, _ = alarm_records(work, clean, rows, effort=effort)
    findings = alarm_findings(records, known)
    return {
        "check_effort": effort,
        "checks": records,
        "findings": [vars(item) for item in findings],
        "findings_before": [vars(item) for item in known],
    }


def _findings(records: list[dict[str, Any]]) -> list[Finding]:
    return [Finding(**record) for record in records]


def _portions(work: Work, say: Progress) -> list[Portion]:
    chunks = work.chosen.chunks
    say.line(f"clean pass over {len(work.chosen.ids)} images")
    say.start("clean pass", len(work.chosen.ids))
    found = []
    for ids in chunks:
        found.append(Portion(work, ids))
        if has_code(work) and [portion for portion in found if len(portion.clean)] == found[-1:]:
            write_code_pictures(work, found[-1].tensors())
        # Images are read again for the attacks, so that memory holds one portion only.
        found[-1].forget()
        say.advance(len(ids))
    say.stop()
    return found


def _checked(model: Model, chosen: Chosen, *, without: bool) -> list[Finding]:
    """The check on a few images from all over the set, before anything is written.

    Images without gradient may stand among sound ones: only where more of them are silent too is the model refused, or
    where no attack asks for a gradient (``without``) a severe finding.
    """
    count, silent = len(chosen.ids), None
    few = tuple(dict.fromkeys(chosen.ids[i * (count - 1) // 7] for i in range(8)))
    many = tuple(dict.fromkeys(chosen.ids[i * (count - 1) // 127] for i in range(128)))
    groups = [few, *(many[k::16] for k in range(16))]
    for number, ids in enumerate((*groups, *chosen.chunks)):
        if silent is not None and number >= len(groups):
            break  # all chunks are read only where none of those images can be
        batch = read_chunk(chosen, ids)
        if not batch.ids:
            continue
        try:
            return list(check_model(model, batch.images[:8], batch.targets[:8]))
        except NoGradientError as error:
            silent = error
    if silent is not None and not without:
        raise silent
    text = "No gradient comes back to the image: only attacks that ask for none could be run, and they are weak."
    return [Finding("gradient-missing", "severe", text, {"gradient": False})] if silent else []


def _attacked(work: Work, portions: list[Portion], say: Progress) -> list[pd.DataFrame]:
    units = [(portion, unit) for portion in portions for unit in portion.units]
    names, norms = ", ".join(work.plan.attacks), ", ".join(norm.value for norm in work.plan.by_norm())
    say.line(f"attacks {names} within {len(work.plan.budgets)} budgets of {norms}: {len(units)} units of work")
    say.start("attacks", len(units))
    parts: list[pd.DataFrame] = []
    last: list[Portion] = []

    def one(item: tuple[Portion, Unit]) -> None:
        portion, unit = item
        if last and last[0] is not portion:
            last.pop().forget()
        if not last:
            last.append(portion)
        part, new = attack_part(portion, unit)
        parts.append(part)
        for note in part.attrs.get("notes", ()) if new else ():
            say.line(f"{unit.attack}: {note}")
        say.advance()

    serial(units, one)
    say.stop()
    return parts


def _write_context(folder: RunFolder, context: dict[str, Any]) -> None:
    folder.write(CONTEXT, json.dumps(context, indent=2, ensure_ascii=False) + "\n")
