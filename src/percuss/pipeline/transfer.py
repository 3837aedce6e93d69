"""A transfer matrix from models to pages: attacks made on each model, judged on all; goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from percuss.core.errors import UsageError
from percuss.core.images import ImageSet
from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.core.transfer import NOISE, TransferCell, TransferHeat
from percuss.evaluate.heat_transfer import heat_cells
from percuss.evaluate.transfer import transfer_cells, transfer_findings
from percuss.pipeline import environment
from percuss.pipeline.crossing import SCORES, Crossing, cross, fits
from percuss.pipeline.inputs import Chosen, check_sizes, data_fingerprint, open_images
from percuss.pipeline.plain_values import as_plain
from percuss.pipeline.plan import CHUNK, AuditPlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.several import Given, check_several, open_several, plans
from percuss.report.sections import Table, write_sections
from percuss.report.transfer import matrices, sections
from percuss.report.transfer_heat import by_size, heat_matrices, heat_sections
from percuss.store.folder import RunFolder, check_free, now

NAME = "percuss-transfer-1"
#: Attacks that look for the smallest change waste the budget that a transfer needs.
_UNFIT = frozenset({"curve", "fmn", "ddn", "sigma_zero"})


@dataclass(frozen=True)
class Transfer:
    """A finished transfer matrix: where it lies, its cells, its findings, and results.json as plain values.

    ``heat`` is what is known of heat maps beside the cells, None for other tasks.
    """

    path: Path
    cells: tuple[TransferCell, ...]
    findings: tuple[Finding, ...]
    record: dict[str, Any]
    heat: TransferHeat | None = None

    @property
    def tables(self) -> tuple[Table, ...]:
        """One matrix per attack and budget: share flipped of the images that both models get right.

        Of heat maps: the judged model's AUC-PR, and then all of them by size.
        """
        if self.heat is not None:
            return (*heat_matrices(self.cells, self.heat), by_size(self.cells, self.heat))
        return matrices(self.cells, "both")


def transfer(
    models: Sequence[Given],
    *,
    data: str | ImageSet,
    out: Path | str,
    weights: Sequence[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> Transfer:
    """Make an attack on each model and judge it on all of them.

    Args:
        models: two or more, as specs, models or modules; one list of classes. Each keeps its own normalisation.
        data: a spec, or a set that is open.
        out: run folder; one of the same run is continued, a finished one is read.
        weights: files for the models, in order, or one for all.
        progress: told what happens.
        options: of ``percuss.pipeline.plan.make_plan``: ``budgets``, ``attacks`` (``pgd``), ``split``, ``limit``,
            ``region`` (``mask``, ``tissue`` or the file of a mask: only there pixels may change), ...

    Raises:
        PercussError: wrong input or options, models that do not fit the images or each other, a folder of another run.
    """
    say, path = progress or Progress(), Path(out)
    check_free(path)
    if isinstance(data, ImageSet):
        options.setdefault("split", "all")
    made = plans(models, data if isinstance(data, str) else data.spec, weights, options={"attacks": "pgd", **options})
    plan = made[0]
    _refuse_unfit(plan)
    with environment.threads(plan.threads):
        chosen = open_images(plan, None if isinstance(data, str) else data)
        check_sizes(plan.by_norm(), chosen)
        device = environment.pick_device(plan.device)
        opened = open_several(made, models, chosen)
        findings = check_several(opened, chosen, device)
        folder = RunFolder.start(path, _identity(plan, chosen, opened, device))
        try:
            work = Crossing(plan, chosen, opened, device, folder)
            _refuse_misfit(work)
            if folder.finished and folder.damaged():
                folder.reopen()
            if not folder.finished:
                _finish(work, cross(work, say), findings)
            else:
                say.line("the matrix was finished before; nothing to compute")
        finally:
            folder.close()
    return read_transfer(path)


def _refuse_unfit(plan: AuditPlan) -> None:
    unfit = sorted({*plan.attacks} & {*_UNFIT, NOISE})
    if unfit:
        raise UsageError(
            "the attack does not suit a transfer matrix",
            value=", ".join(unfit),
            allowed="an attack that spends its whole budget; noise is always there as the control",
            next_step="give --attack pgd",
        )


def _refuse_misfit(work: Crossing) -> None:
    """UsageError for an attack that can be made on none of the models."""
    for attack in work.plan.attacks:
        if not any(fits(attack, model) for model in work.models.values()):
            raise UsageError(
                f"the attack {attack} can be made on none of these models",
                value=", ".join(work.models),
                allowed="a model with a code of the image, such as percuss:sparse_detector",
                next_step="leave the attack out, or add such a model",
            )


def read_transfer(path: Path) -> Transfer:
    """A finished matrix from its folder."""
    record = json.loads((path / "results.json").read_text(encoding="utf-8"))
    cells = tuple(TransferCell(**_records(item)) for item in record["cells"])
    heat = record.get("heat")
    known = None if heat is None else TransferHeat(**{**heat, "clean": _records(heat["clean"])})
    return Transfer(path, cells, tuple(Finding(**item) for item in record["findings"]), record, known)


def _records(item: dict[str, Any]) -> dict[str, Any]:
    return {key: Interval(**value) if isinstance(value, dict) else value for key, value in item.items()}


def _identity(plan: AuditPlan, chosen: Chosen, models: dict[str, Model], device: torch.device) -> dict[str, str]:
    return plan.identity() | {
        "command": "transfer",
        "images (--data, --split, --limit)": data_fingerprint(chosen),
        "models": " ".join(f"{name}={model.fingerprint()}" for name, model in models.items()),
        "Percuss version": environment.version(),
        "device": device.type,
        "portion": str(CHUNK),
    }


def _finish(work: Crossing, tables: tuple[pd.DataFrame, pd.DataFrame], findings: list[Finding]) -> None:
    """Write rows, matrix, results and page; mark the run finished."""
    rows, clean = tables
    folder, seed, groups = work.folder, work.plan.seed, [str(group) for group in clean["group"]]
    cells, known = transfer_cells(rows, groups, seed=seed), None
    found = [*findings, *_left_out(work, clean), *_misfits(work)]
    if "truth" in clean:
        partial = [name for name in work.chosen.images.partial if name in groups]
        cells, known, doubts = heat_cells(cells, rows, clean, models=list(work.models), seed=seed, partial=partial)
        folder.write_table("clean.parquet", clean)
        found += doubts
    else:
        found += transfer_findings(rows, groups, seed=seed)
    folder.write_table("rows.parquet", rows)
    folder.write("per_image.csv", rows.drop(columns=[*SCORES], errors="ignore").to_csv(index=False))
    described = [_describe(name, model) for name, model in work.models.items()]
    _write_numbers(work, (cells, found, known), described, len(clean))
    where = f" · changes inside the region {work.plan.region} only" if work.plan.region else ""
    table = _models_table(described, clean)
    if known is None:
        shown = sections(cells, findings=found, models=table, n=len(clean))
    else:
        shown = heat_sections(cells, known, findings=found, models=table, n=len(clean))
    write_sections(
        folder.path / "transfer.html",
        shown,
        title="transfer of attacks between models",
        meta=f"{now()[:10]} · run {folder.run_id[:12]}{where}",
        version=environment.version(),
    )
    folder.finish()
    folder.drop("parts")


def _models_table(described: list[dict[str, Any]], clean: pd.DataFrame) -> Table:
    """The models with how many clean images each decides rightly."""
    head = ("name", "model", "weights", "parameters", "mean", "std", "right, clean", "sha256")
    right = [int(clean[f"correct_{i}"].sum()) for i in range(len(described))]
    body = tuple(
        (
            m["name"],
            m["spec"],
            m["weights"],
            str(m["parameters"]),
            m["mean"],
            m["std"],
            f"{k} of {len(clean)}",
            m["sha256"][:12],
        )
        for m, k in zip(described, right, strict=True)
    )
    return Table(head, body, words=3)


def _write_numbers(
    work: Crossing,
    found: tuple[list[TransferCell], list[Finding], TransferHeat | None],
    models: list[dict[str, Any]],
    count: int,
) -> None:
    """matrix.csv and results.json."""
    plain, folder = [as_plain(vars(cell)) for cell in found[0]], work.folder
    folder.write("matrix.csv", pd.json_normalize(plain, sep="_").to_csv(index=False))
    record = {
        "kind": NAME,
        "percuss_version": environment.version(),
        "run_id": folder.run_id,
        "started": folder.manifest["started"],
        "data": {"spec": work.plan.data, "split": work.chosen.split, "n_images": count},
        "models": models,
        "attacks": [{"name": name, **work.plan.attack_settings(name)} for name in work.plan.attacks],
        "seed": work.plan.seed,
        **({"region": work.plan.region} if work.plan.region else {}),
        "findings": [vars(item) for item in found[1]],
        "cells": plain,
        **({} if found[2] is None else {"heat": as_plain(vars(found[2]))}),
    }
    folder.write("results.json", json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _left_out(work: Crossing, clean: pd.DataFrame) -> list[Finding]:
    missing = [name for name in work.chosen.ids if name not in set(clean["id"])]
    if not missing:
        return []
    text = f"{len(missing)} of {len(work.chosen.ids)} images could not be used and were left out, first {missing[0]}."
    return [Finding("bad-images", "warning", text, {"n_bad": len(missing), "n": len(work.chosen.ids)})]


def _misfits(work: Crossing) -> list[Finding]:
    """Attacks that some model cannot be attacked with: left out there."""
    found = []
    for attack in work.plan.attacks:
        without = [name for name, model in work.models.items() if not fits(attack, model)]
        if without:
            text = (
                f"{attack} goes by the code of an image, and {', '.join(without)} has none of the kind it needs: there "
                "is no row of that attack made there; what it makes on the other models is judged by all."
            )
            found.append(Finding("attack-does-not-fit", "info", text, {"attack": attack, "models": without}))
    return found


def _describe(name: str, model: Model) -> dict[str, Any]:
    info = model.info
    return {
        "name": name,
        "spec": info.spec,
        "weights": info.weights,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "classes": list(model.classes),
        "mean": ", ".join(f"{value:.4g}" for value in info.mean),
        "std": ", ".join(f"{value:.4g}" for value in info.std),
        "sha256": model.fingerprint(),
    }
