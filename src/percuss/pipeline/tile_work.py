"""The work of percuss tile on one slide, in whichever process: looking at it, cutting tiles, finishing it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError, PercussError
from percuss.data.slides.cells import UNJUDGED
from percuss.data.slides.open import open_slide
from percuss.data.slides.slide import Slide
from percuss.data.slides.tissue import grid_shape, tissue_grid
from percuss.data.slides.view import View
from percuss.pipeline import tile_files as files
from percuss.pipeline.tile_picture import picture
from percuss.pipeline.tile_plan import Place, SlideJob, Survey, TilePlan
from percuss.pipeline.tile_truth import Truth, sha256_of_slide
from percuss.store.quick_png import quick_png
from percuss.store.safe import disk_errors, write_bytes

_NOTES = 20
#: Tiles that wait to be packed at most.
_AHEAD = 2


@dataclass(frozen=True)
class Failure:
    """Why a slide cannot be used."""

    name: str
    path: str
    thing: str
    value: str | None = None
    allowed: str = ""
    next_step: str = ""

    def error(self) -> DataError:
        """The same as an error."""
        return DataError(self.thing, value=self.value, allowed=self.allowed, next_step=self.next_step)


@dataclass
class _Open:
    """A slide held open between units of work."""

    key: tuple[SlideJob, str]
    slide: Slide
    view: View
    truth: Truth

    def close(self) -> None:
        self.truth.close()
        self.slide.close()


#: The slide that this process worked on last; its tiles come in one order, so one is enough.
_held: list[_Open] = []


def attempt(job: SlideJob, call: Callable[[], Any]) -> Any:
    """What a piece of work on a slide gives, or a Failure where the slide cannot be used.

    Errors of the disk, and wrong options, are no fault of the slide and are raised.
    """
    try:
        return call()
    except DataError as error:
        value = None if error.value is None else str(error.value)
        return Failure(job.name, str(job.path), error.thing, value, error.allowed, error.next_step)
    except PercussError:
        raise
    except Exception as error:  # decoders raise many kinds; one slide must not end the others
        return Failure(job.name, str(job.path), "the slide cannot be cut", f"{type(error).__name__}: {error}")


def look(job: SlideJob, plan: TilePlan, out: Path) -> tuple[Survey, bool]:
    """The survey of a slide, and whether it is finished in ``out`` already."""
    record = _identity(job, plan)
    done = files.finished_slide(out, job.name, record)
    if done is not None:
        return Survey(job, done["slide"], ()), True
    held = _opened(job, plan)
    places, considered = _places(held.view, plan)
    slide, view = held.slide, held.view
    record |= {
        "file": job.path.name,
        "reader": slide.reader,
        "height": slide.height,
        "width": slide.width,
        "slide_mpp": slide.mpp,
        "mpp": view.mpp,
        "scale": view.scale,
        "level": view.level,
        "resampled": view.resampled,
        "considered": considered,
        "notes": [*job.notes, *slide.notes, *_few(held.truth.notes)],
    }
    files.start_slide(out, record)
    return Survey(job, record, places), False


def cut(job: SlideJob, plan: TilePlan, out: Path, *, unit: int, places: Sequence[Place], sha256: str) -> int:
    """Cut, write and record the tiles of a unit; how many there are. Nothing is done where it is recorded already."""
    if files.has_unit(out, job.name, unit):
        return len(places)
    held = _opened(job, plan)
    waiting: deque[Future[dict[str, str]]] = deque()
    rows: list[dict[str, str]] = []
    # Packing takes longer than reading and lets go of the interpreter: one thread packs while this one reads ahead.
    with ThreadPoolExecutor(1) as writer:
        for place in places:
            pixels = held.view.read(place.row, place.column, plan.size, plan.size)
            cells = held.truth.cells(held.view, place)
            waiting.append(writer.submit(_write, job, plan, out, place=place, pixels=pixels, cells=cells))
            if len(waiting) > _AHEAD:
                rows.append(waiting.popleft().result())
        rows += [future.result() for future in waiting]
    rows = [row | {"mpp": f"{held.view.mpp:.8g}", "slide_sha256": sha256} for row in rows]
    files.write_unit(out, job.name, unit, rows=rows)
    return len(places)


def finish(job: SlideJob, plan: TilePlan, out: Path, *, units: int, record: dict[str, Any]) -> dict[str, Any]:
    """Draw the thumbnail and make the slide's record final."""
    held = _opened(job, plan)
    rows = [row for unit in range(units) for row in files.read_unit(out, job.name, unit)]
    write_bytes(out / "thumbnails" / f"{job.name}.png", quick_png(picture(held.view, rows, held.truth.outlines)))
    return files.finish_slide(out, record, units)


def release() -> None:
    """Close the slide that is held open."""
    while _held:
        _held.pop().close()


def _opened(job: SlideJob, plan: TilePlan) -> _Open:
    key = (job, plan.key)
    if not _held or _held[0].key != key:
        release()
        _held.append(_open(job, plan, key))
    return _held[0]


def _open(job: SlideJob, plan: TilePlan, key: tuple[SlideJob, str]) -> _Open:
    try:
        slide = open_slide(job.path, mpp=plan.slide_mpp, reader=plan.reader)
        try:
            view = View(slide, plan.mpp)
            return _Open(key, slide, view, Truth(job, plan, slide))
        except BaseException:
            slide.close()
            raise
    except DataError as error:
        # Elsewhere --mpp is the slide's own resolution; here that one is called --slide-mpp.
        parts = (error.thing.replace("--mpp", "--slide-mpp"), error.next_step.replace("--mpp", "--slide-mpp"))
        raise DataError(parts[0], value=error.value, allowed=error.allowed, next_step=parts[1]) from error


def _identity(job: SlideJob, plan: TilePlan) -> dict[str, Any]:
    """What decides the tiles of a slide beside the settings that all share."""
    if not job.path.exists():
        raise DataError("there is no such slide", value=job.path, next_step="check the path")
    mark = job.annotation
    try:
        return {
            "name": job.name,
            "sha256": sha256_of_slide(job.path),
            "annotation": job.annotated,
            "counts_outside": job.outside,
            "annotation_file": None if mark is None else mark.name,
            "annotation_sha256": None if mark is None else sha256_of_slide(mark),
            "settings": plan.of_slide(),
        }
    except OSError as error:
        raise DataError("the slide cannot be read", value=f"{job.path}: {error}") from error


def _places(view: View, plan: TilePlan) -> tuple[tuple[Place, ...], int]:
    """The tiles to keep, row by row, and how many were considered; DataError where there is none."""
    whole = plan.edges == "drop"
    if plan.tissue == "all":
        kept = np.ones(grid_shape((view.height, view.width), plan.size, plan.step, whole=whole), bool)
    else:
        kept = tissue_grid(view, plan.size, rule=plan.tissue, share=plan.share, stride=plan.step, whole=whole).kept
    if not kept.size:
        raise DataError(
            "the slide is smaller than a tile",
            value=f"{view.slide.path}: {view.height} x {view.width} pixels at {view.mpp:g} um per pixel",
            allowed=f"at least {plan.size} x {plan.size}",
            next_step="ask for smaller tiles or a finer --mpp, or fill up with white: --edges pad",
        )
    if not kept.any():
        raise DataError(
            "no tile of the slide holds tissue",
            value=f"{view.slide.path}: {kept.size} tiles by --tissue {plan.tissue}",
            next_step="look at the slide; try another --tissue, a smaller --min-tissue, or --tissue all",
        )
    corners = [(int(i) * plan.step, int(j) * plan.step) for i, j in np.argwhere(kept)]
    places = [Place(r, c, round(r * view.scale), round(c * view.scale)) for r, c in corners]
    return tuple(places), int(kept.size)


def _write(
    job: SlideJob, plan: TilePlan, out: Path, *, place: Place, pixels: np.ndarray[Any, Any], cells: np.ndarray[Any, Any]
) -> dict[str, str]:
    """Write a tile and its mask, and give its row. They count only when their unit is recorded."""
    file = f"{job.name}/{place.row0}_{place.column0}"
    row = {"id": file, "path": f"tiles/{file}.png", "mask": f"masks/{file}.png", "slide": job.name}
    for name, content, digest in (("path", pixels, "sha256"), ("mask", cells, "mask_sha256")):
        data = quick_png(content)
        with disk_errors(out / row[name]):
            (out / row[name]).write_bytes(data)
        row[digest] = hashlib.sha256(data).hexdigest()
    judged = float((cells != UNJUDGED).mean())
    return row | {
        "row": str(place.row0),
        "column": str(place.column0),
        "size": str(plan.size),
        "cell": str(plan.cell),
        "tumour": f"{float((cells == 1).mean()):.6g}",
        "judged": f"{judged:.6g}",
        "annotation": job.annotated,
    }


def _few(notes: Sequence[str]) -> list[str]:
    rest = len(notes) - _NOTES
    return [*notes[:_NOTES], *([f"and {rest} notes more"] if rest > 0 else [])]
