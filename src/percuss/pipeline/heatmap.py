"""Heat maps of whole slides from model and files to a run folder: tiles judged and attacked, maps, numbers, page."""

from __future__ import annotations

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
    tile_plan,
    trained_on,
)
from percuss.pipeline.heatmap_tiles import SlideTiles
from percuss.pipeline.heatmap_truth import truth_of
from percuss.pipeline.plan import AuditPlan, check_counts
from percuss.pipeline.progress import Progress
from percuss.pipeline.tile_plan import SlideJob, TilePlan
from percuss.pipeline.tile_sources import annotate, check_values, find_slides
from percuss.pipeline.tile_truth import sha256_of_slide
from percuss.report.sections import Table
from percuss.report.slide_map import froc_tables, table
from percuss.store.folder import RunFolder, check_free


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
    """A call at work: options that are settled, the model on its device, tiles, attacks, and the run."""

    options: HeatmapOptions
    model: Model
    trained_mpp: float | None
    tiles: TilePlan
    attacks: AuditPlan | None
    folder: RunFolder
    batch_size: int


def heatmap(
    slides: str | Path | Sequence[str | Path],
    *,
    model: str | Path | Model | nn.Module,
    out: str | Path,
    progress: Progress | None = None,
    **options: Any,
) -> HeatMaps:
    """Heat maps of whole slides, as they are and attacked.

    Args:
        slides: files, patterns, folders (of slides, or one of DICOM), or ``synthetic:slide?seed=0``, which is drawn
            into a folder beside ``out``.
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
    say = progress or Progress()
    rest = {name: options.pop(name) for name in (*PLAIN, "weights", "allow_code") if name in options}
    wanted = heatmap_options(options)
    batch_size = rest.get("batch_size", 8)
    check_counts(batch_size=batch_size, threads=rest.get("threads"), steps=wanted.steps)
    attacks = attack_plan(wanted, batch_size)
    with environment.threads(rest.get("threads")):
        device = environment.pick_device(rest.get("device", "auto"))
        ready = heatmap_model(model, rest).to(device).eval()
        trained = trained_on(model)
        settled = settle(wanted, ready, trained)
        tiles = tile_plan(settled, ready.info.cell, rest.get("reader", "auto"))
        jobs = _jobs(slides, path, settled)
        identity = _identity(jobs, settled, ready, attacks=attacks, device=device.type)
        folder = RunFolder.start(path, identity)
        try:
            if folder.finished and folder.damaged():
                folder.reopen()
            if folder.finished:
                say.line("the heat maps were finished before; nothing to compute")
            else:
                work = Job(settled, ready, trained.get("mpp"), tiles, attacks, folder, batch_size)
                _compute(work, jobs, say)
        finally:
            folder.close()
    return read_heatmaps(path)


def _jobs(slides: str | Path | Sequence[str | Path], out: Path, told: HeatmapOptions) -> list[SlideJob]:
    """The slides with their annotations; drawn ones lie beside the run, which holds nothing else when it begins."""
    if not slides:
        raise UsageError("no slide is given", next_step="percuss heatmap SLIDE --model DIR --out DIR")
    found = find_slides(slides, out.parent / f"{out.name}-drawn")
    places = [Path(place) for place in told.annotations]
    jobs = annotate(found, places, normal=told.normal, partial=told.not_exhaustive)
    check_values(jobs, told.values)
    return jobs


def read_heatmaps(path: Path) -> HeatMaps:
    """Finished heat maps from their folder; RunError where there are none."""
    try:
        record = json.loads((path / "results.json").read_text(encoding="utf-8"))
        return HeatMaps(path, record, tuple(Finding(**item) for item in record["findings"]))
    except (OSError, ValueError, KeyError) as error:
        raise RunError("the folder holds no finished heat maps", value=path) from error


def _compute(work: Job, jobs: Sequence[SlideJob], say: Progress) -> None:
    records, written, bad = [], [], []
    for job in jobs:
        try:
            record, maps = _slide(work, job, say)
        except DataError as error:
            if len(jobs) == 1:
                raise
            say.line(f"left out: {error}")
            bad.append({"slide": job.name, "reason": str(error)})
            continue
        records.append(record)
        written += [maps] if maps else []
    if not records:
        reasons = "; ".join(item["reason"] for item in bad[:3])
        raise DataError("none of the slides can be used", value=reasons, next_step="mend or leave out the slides")
    info, attacks = work.model.info, work.attacks
    record = {
        "model": {"spec": info.spec, "weights": info.weights, "cell": info.cell, "sha256": work.model.fingerprint()},
        "options": _plain(work.options) | {"trained_mpp": work.trained_mpp},
        "attacks": [] if attacks is None else [{"name": n, **attacks.attack_settings(n)} for n in attacks.attacks],
        "slides": records,
        "bad_slides": bad,
        "all": pooled(written, work.options.seed),
    }
    write_results(work.folder, record, findings_of(record))


def _slide(work: Job, job: SlideJob, say: Progress) -> tuple[dict[str, Any], list[Written]]:
    """One slide from file to maps; without maps where no tile holds tissue."""
    with open_slide(job.path, mpp=work.tiles.slide_mpp, reader=work.tiles.reader) as slide:
        _needed(slide)
        view, truth = View(slide, work.tiles.mpp), truth_of(job, work.tiles, slide)
        try:
            grid = _grid(view, work.tiles)
            tiles = SlideTiles(
                job.name,
                view,
                grid,
                truth,
                work.model,
                work.attacks,
                work.folder,
                work.batch_size,
                work.options.keep_tiles,
            )
            tiles.judge(say)
            maps = write_maps(tiles, work.options.depth) if grid.kept.any() and not _all_bad(tiles) else []
            return _record(tiles, job, slide, maps=maps), maps
        finally:
            if truth is not None:
                truth.close()


def _all_bad(work: SlideTiles) -> bool:
    if len(work.bad) < int(work.grid.kept.sum()):
        return False
    reason = next(iter(work.bad.values()))
    raise DataError("no tile of the slide can be read", value=f"{work.view.slide.path}: {reason}")


def _record(work: SlideTiles, job: SlideJob, slide: Slide, *, maps: Sequence[Written]) -> dict[str, Any]:
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
        "notes": [*slide.notes, *job.notes, *(truth.notes if truth else ())],
        "places": int(grid.kept.size),
        "tiles": int(grid.kept.sum()),
        "bad_tiles": [{"row": r, "column": c, "reason": why} for (r, c), why in sorted(work.bad.items())],
        "truth": "none" if truth is None else truth.kind,
        "annotation": job.annotated,
        "map_height": grid.shape[0],
        "map_width": grid.shape[1],
        "maps": [item.record for item in maps],
    }


def _grid(view: View, plan: TilePlan) -> Grid:
    if plan.tissue == "all":
        kept = np.ones(grid_shape((view.height, view.width), plan.size, plan.step, whole=False), bool)
    else:
        kept = tissue_grid(view, plan.size, rule=plan.tissue, share=plan.share, stride=plan.step, whole=False).kept
    return Grid(view.height, view.width, plan.size, plan.size - plan.step, plan.cell, kept)


def _needed(slide: Slide) -> None:
    if slide.mpp is None:
        raise DataError(
            "the slide states no resolution",
            value=slide.path,
            allowed="a resolution in the file's metadata, or given",
            next_step="say it with --slide-mpp, in micrometres per pixel of the largest level, as --slide-mpp 0.25",
        )


def _identity(
    jobs: Sequence[SlideJob], told: HeatmapOptions, model: Model, *, attacks: AuditPlan | None, device: str
) -> dict[str, str]:
    own = ("attacks", "budgets", "steps", "annotations", "normal", "not_exhaustive")
    files = [(job.name, _content(job.path), _content(job.annotation), job.annotated) for job in jobs]
    return {
        "command": "heatmap",
        "slides and annotations": json.dumps(files),
        "model": model.fingerprint(),
        **{f"--{name.replace('_', '-')}": str(value) for name, value in _plain(told).items() if name not in own},
        **({} if attacks is None else attacks.identity()),
        "Percuss version": environment.version(),
        "device": device,
    }


def _content(path: Path | None) -> str:
    """SHA-256 of a file or folder; empty where there is none. A slide that is missing is told of when it is opened."""
    return "" if path is None or not path.exists() else sha256_of_slide(path)


def _plain(told: HeatmapOptions) -> dict[str, Any]:
    return {name: list(map(str, value)) if isinstance(value, tuple) else value for name, value in vars(told).items()}
