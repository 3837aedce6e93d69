"""Heat maps of whole slides from model and files to a run folder: tiles judged and attacked, maps, numbers, page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from percuss.core.errors import DataError, RunError, UsageError
from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.data.slides.open import open_slide
from percuss.data.slides.slide import Slide
from percuss.data.slides.tissue import grid_shape, tissue_grid
from percuss.data.slides.view import View
from percuss.pipeline import environment
from percuss.pipeline.heatmap_files import Written, pooled, write_maps, write_results
from percuss.pipeline.heatmap_findings import findings_of
from percuss.pipeline.heatmap_grid import Grid
from percuss.pipeline.heatmap_options import (
    PLAIN,
    HeatmapOptions,
    attack_plan,
    heatmap_model,
    heatmap_options,
    settle,
    trained_on,
)
from percuss.pipeline.heatmap_tiles import SlideTiles
from percuss.pipeline.heatmap_truth import Annotations, Truth, name_of
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.progress import Progress
from percuss.report.sections import Table
from percuss.report.slide_map import froc_tables, table
from percuss.store.folder import RunFolder, check_free
from percuss.store.safe import sha256_of


@dataclass(frozen=True)
class HeatMaps:
    """Finished heat maps: their folder, results.json as plain values, and the findings."""

    path: Path
    record: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The numbers of every map, and of all slides together."""
        return (table(self.record["slides"]), *froc_tables(self.record["all"]))


@dataclass(frozen=True)
class Job:
    """A call at work: options that are settled, the model on its device, attacks, and the run."""

    options: HeatmapOptions
    model: Model
    trained_mpp: float | None
    plan: AuditPlan | None
    known: Annotations
    folder: RunFolder
    batch_size: int
    reader: str


def heatmap(
    slides: Sequence[str | Path],
    *,
    model: str | Path | Model | nn.Module,
    out: str | Path,
    progress: Progress | None = None,
    **options: Any,
) -> HeatMaps:
    """Heat maps of whole slides, as they are and attacked.

    Args:
        slides: files (or folders of DICOM), each of another name.
        model: of task ``heatmap``: a folder of ``percuss train``, a spec, a model, or a module.
        out: run folder; a killed run goes on where it was, a finished one is read.
        progress: told what happens.
        options: of ``HeatmapOptions``; and ``batch_size``, ``device``, ``threads``, ``weights``, ``allow_code``,
            ``reader`` (of slides).

    Raises:
        PercussError: wrong options, model or annotations; a slide that cannot be read, where it is the only one (of
            several it is left out with a finding); a folder of another run.
    """
    check_free(path := Path(out))
    say, paths = progress or Progress(), _paths(slides)
    rest = {name: options.pop(name) for name in (*PLAIN, "weights", "allow_code") if name in options}
    wanted = heatmap_options(options)
    plan = attack_plan(wanted, rest.get("batch_size", 8))
    known = Annotations(
        None if wanted.annotations is None else Path(wanted.annotations),
        tuple(wanted.normal),
        wanted.values,
        wanted.mend,
    )
    known.check(paths)
    with environment.threads(rest.get("threads")):
        device = environment.pick_device(rest.get("device", "auto"))
        ready = heatmap_model(model, rest).to(device).eval()
        trained = trained_on(model)
        settled = settle(wanted, ready, trained)
        folder = RunFolder.start(path, _identity(paths, settled, ready, plan=plan, known=known, device=device.type))
        try:
            job = Job(
                settled,
                ready,
                trained.get("mpp"),
                plan,
                known,
                folder,
                rest.get("batch_size", 8),
                rest.get("reader", "auto"),
            )
            if folder.finished and folder.damaged():
                folder.reopen()
            if folder.finished:
                say.line("the heat maps were finished before; nothing to compute")
            else:
                _compute(job, paths, say)
        finally:
            folder.close()
    return read_heatmaps(path)


def read_heatmaps(path: Path) -> HeatMaps:
    """Finished heat maps from their folder; RunError where there are none."""
    try:
        record = json.loads((path / "results.json").read_text(encoding="utf-8"))
        return HeatMaps(path, record, tuple(Finding(**item) for item in record["findings"]))
    except (OSError, ValueError, KeyError) as error:
        raise RunError("the folder holds no finished heat maps", value=path) from error


def _compute(job: Job, paths: Sequence[Path], say: Progress) -> None:
    records, written, bad = [], [], []
    for path in paths:
        try:
            record, maps = _slide(job, path, say)
        except DataError as error:
            if len(paths) == 1:
                raise
            say.line(f"left out: {error}")
            bad.append({"slide": path.name, "reason": str(error)})
            continue
        records.append(record)
        written += [maps] if maps else []
    if not records:
        reasons = "; ".join(item["reason"] for item in bad[:3])
        raise DataError("none of the slides can be used", value=reasons, next_step="mend or leave out the slides")
    info = job.model.info
    record = {
        "model": {"spec": info.spec, "weights": info.weights, "cell": info.cell, "sha256": job.model.fingerprint()},
        "options": _plain(job.options) | {"trained_mpp": job.trained_mpp},
        "attacks": [] if job.plan is None else [{"name": n, **job.plan.attack_settings(n)} for n in job.plan.attacks],
        "slides": records,
        "bad_slides": bad,
        "all": pooled(written, job.options.seed),
    }
    write_results(job.folder, record, findings_of(record))


def _slide(job: Job, path: Path, say: Progress) -> tuple[dict[str, Any], list[Written]]:
    """One slide from file to maps; without maps where no tile holds tissue."""
    told = job.options
    with open_slide(path, mpp=told.slide_mpp, reader=job.reader) as slide:
        _needed(slide)
        assert told.mpp is not None
        view, truth = View(slide, told.mpp), job.known.truth(slide)
        try:
            grid = _grid(view, told, job.model.info.cell)
            work = SlideTiles(
                path.stem, view, grid, truth, job.model, job.plan, job.folder, job.batch_size, told.keep_tiles
            )
            work.judge(say)
            maps = write_maps(work, told.depth) if grid.kept.any() and not _all_bad(work) else []
            return _record(work, slide, maps), maps
        finally:
            if truth is not None:
                truth.close()


def _all_bad(work: SlideTiles) -> bool:
    if len(work.bad) < int(work.grid.kept.sum()):
        return False
    reason = next(iter(work.bad.values()))
    raise DataError("no tile of the slide can be read", value=f"{work.view.slide.path}: {reason}")


def _record(work: SlideTiles, slide: Slide, maps: Sequence[Written]) -> dict[str, Any]:
    grid, truth = work.grid, work.truth
    return {
        "slide": work.name,
        "path": slide.path.name,
        "reader": slide.reader,
        "height": slide.height,
        "width": slide.width,
        "mpp": slide.mpp,
        "view_mpp": work.view.mpp,
        "resampled": work.view.resampled,
        "notes": [*slide.notes, *(truth.notes if truth else ())],
        "places": int(grid.kept.size),
        "tiles": int(grid.kept.sum()),
        "bad_tiles": [{"row": r, "column": c, "reason": why} for (r, c), why in sorted(work.bad.items())],
        "annotation": _annotation(truth),
        "map_height": grid.shape[0],
        "map_width": grid.shape[1],
        "maps": [item.record for item in maps],
    }


def _annotation(truth: Truth | None) -> str:
    if truth is None:
        return "none"
    return truth.kind if truth.exhaustive else f"{truth.kind}, not exhaustive"


def _grid(view: View, told: HeatmapOptions, cell: int) -> Grid:
    assert told.size is not None and told.overlap is not None
    step = told.size - told.overlap
    if told.tissue == "all":
        kept = np.ones(grid_shape((view.height, view.width), told.size, step, whole=False), bool)
    else:
        kept = tissue_grid(view, told.size, rule=told.tissue, share=told.share, stride=step, whole=False).kept
    return Grid(view.height, view.width, told.size, told.overlap, cell, kept)


def _needed(slide: Slide) -> None:
    if slide.mpp is None:
        raise DataError(
            "the slide states no resolution",
            value=slide.path,
            allowed="a resolution in the file's metadata, or given",
            next_step="say it with --slide-mpp, in micrometres per pixel of the largest level, as --slide-mpp 0.25",
        )


def _paths(slides: Sequence[str | Path]) -> list[Path]:
    paths = [Path(slide) for slide in slides]
    if not paths:
        raise UsageError("no slide is given", next_step="percuss heatmap SLIDE --model DIR --out DIR")
    names = [name_of(path) for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            "two slides have one name", value=twice, next_step="make the heat maps of one of them elsewhere"
        )
    return paths


def _identity(
    paths: Sequence[Path],
    told: HeatmapOptions,
    model: Model,
    *,
    plan: AuditPlan | None,
    known: Annotations,
    device: str,
) -> dict[str, str]:
    names = [name for name in _plain(told) if name not in ("attacks", "budgets", "steps", "annotations", "normal")]
    return {
        "command": "heatmap",
        "slides": " ".join(f"{path.name}={_content(path)}" for path in paths),
        "model": model.fingerprint(),
        "annotations": known.text(paths),
        **{f"--{name.replace('_', '-')}": str(getattr(told, name)) for name in names},
        **({} if plan is None else plan.identity()),
        "Percuss version": environment.version(),
        "device": device,
    }


def _content(path: Path) -> str:
    """SHA-256 of a slide; of a folder that of its files; a word where it cannot be read, which is told later."""
    if path.is_dir():
        files = sorted(item for item in path.rglob("*") if item.is_file())
        return hashlib.sha256(" ".join(f"{item.name}={sha256_of(item)}" for item in files).encode()).hexdigest()
    return sha256_of(path) if path.is_file() else "missing"


def _plain(told: HeatmapOptions) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in vars(told).items()}
