"""percuss tile: slides cut into tiles with the truth of their cells, by several processes, going on where it was."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from percuss.core.errors import RunError, UsageError
from percuss.pipeline import tile_files as files
from percuss.pipeline import tile_work as work
from percuss.pipeline.progress import Progress
from percuss.pipeline.tile_plan import SlideJob, Survey, TilePlan, check_plan
from percuss.pipeline.tile_sources import annotate, check_values, find_slides

#: A piece of work on a slide.
Task = tuple[SlideJob, Callable[[], Any]]
#: Tiles of a slide that one process cuts at a time, and that are lost at most when it is killed.
_UNIT = 32


@dataclass(frozen=True)
class Known:
    """What is known of the slides beside their pixels.

    Attributes:
        annotations: files, or folders with NAME.xml or NAME_mask.tif.
        normal: names or patterns of slides that hold no tumour.
        partial: names or patterns of slides not outlined everywhere, beyond those of CAMELYON16's list.
        outside: names or patterns of such slides where what is not outlined counts as normal all the same.
    """

    annotations: tuple[Path, ...] = ()
    normal: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tiling:
    """What was made.

    Attributes:
        folder: of the tiles.
        manifest: its manifest: plan, slides with their records, bad slides, number of tiles.
        bad: the slides that could not be used, and why.
    """

    folder: Path
    manifest: dict[str, Any]
    bad: tuple[work.Failure, ...]


def tile(
    slides: str | Path | Sequence[str | Path],
    out: Path | str,
    plan: TilePlan,
    *,
    known: Known | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Tiling:
    """Cut slides into tiles. The result does not depend on the number of processes.

    Finished slides are known by their hashes, finished units of an interrupted slide by their records; both are kept.

    Args:
        slides: files, patterns, folders, or ``synthetic:slide?...``.
        out: folder to make, or to go on with.
        plan: settings that decide the tiles.
        known: annotations and what else is known of the slides.
        workers: processes.
        progress: told how far it is.

    Raises:
        UsageError: an option that cannot be honoured.
        RunError: the folder holds something else, the disk is full, or a process was killed.
        DataError: no slide could be used; a few bad ones among others are recorded instead.
    """
    check_plan(plan)
    if workers < 1:
        raise UsageError("--workers must be a number of processes", value=workers, allowed="1 or more")
    folder, said, known = Path(out), progress or Progress(), known or Known()
    jobs = find_slides(slides, folder)
    jobs = annotate(jobs, known.annotations, normal=known.normal, partial=known.partial, outside=known.outside)
    check_values(jobs, plan.values)
    files.claim(folder, plan)
    bad: dict[str, work.Failure] = {}
    with _executor(workers) as executor:
        surveys = _survey(executor, jobs, plan, folder, said=said, bad=bad)
        _cut(executor, surveys, plan, folder, said=said, bad=bad)
    for name in bad:
        files.drop_slide(folder, name)
    failures = tuple(bad[name] for name in sorted(bad))
    if len(failures) == len(jobs):
        raise _all_bad(failures)
    rows = [{"slide": item.name, "path": item.path, "reason": str(item.error())} for item in failures]
    return Tiling(folder, files.finish(folder, plan, rows), failures)


def _survey(
    executor: Executor,
    jobs: Sequence[SlideJob],
    plan: TilePlan,
    out: Path,
    *,
    said: Progress,
    bad: dict[str, work.Failure],
) -> list[Survey]:
    """Surveys of the slides still to be cut, in order of name; bad ones are put down in ``bad``."""
    found: dict[str, Survey] = {}
    said.start("looking at slides", len(jobs))
    for job, result in _each(executor, [(job, partial(work.look, job, plan, out)) for job in jobs]):
        said.advance()
        if isinstance(result, work.Failure):
            bad[job.name] = result
            said.line(f"{job.name}: {result.error()}")
        elif not result[1]:
            found[job.name] = result[0]
    said.stop()
    return [found[name] for name in sorted(found)]


def _cut(
    executor: Executor,
    surveys: Sequence[Survey],
    plan: TilePlan,
    out: Path,
    *,
    said: Progress,
    bad: dict[str, work.Failure],
) -> None:
    """Cut the tiles of all slides, unit by unit, and finish each slide when its last unit is done."""
    by_name = {survey.job.name: survey for survey in surveys}
    left = {name: -(-len(survey.places) // _UNIT) for name, survey in by_name.items()}
    said.start("tiles", sum(len(survey.places) for survey in surveys))
    finals: list[Task] = []
    for job, result in _each(executor, _units(surveys, plan, out, bad=bad), finals):
        if isinstance(result, work.Failure):
            if job.name not in bad:
                bad[job.name] = result
                said.line(f"{job.name}: {result.error()}")
        elif isinstance(result, int):
            said.advance(result)
            left[job.name] -= 1
            if not left[job.name] and job.name not in bad:
                survey = by_name[job.name]
                units = -(-len(survey.places) // _UNIT)
                finals.append((job, partial(work.finish, job, plan, out, units=units, record=survey.record)))
    said.stop()


def _units(surveys: Sequence[Survey], plan: TilePlan, out: Path, *, bad: dict[str, work.Failure]) -> Iterator[Task]:
    for survey in surveys:
        for unit, first in enumerate(range(0, len(survey.places), _UNIT)):
            if survey.job.name in bad:
                break
            places = survey.places[first : first + _UNIT]
            sha256 = survey.record["sha256"]
            yield survey.job, partial(work.cut, survey.job, plan, out, unit=unit, places=places, sha256=sha256)


def _each(
    executor: Executor,
    tasks: Iterable[Task],
    later: list[Task] | None = None,
) -> Iterator[tuple[SlideJob, Any]]:
    """Slide and result of every task as it is done, a bounded number at a time.

    Tasks that turn up in ``later`` meanwhile are done too, before the next of ``tasks``.
    """
    waiting: dict[Future[Any], SlideJob] = {}
    source, later, more = iter(tasks), [] if later is None else later, True
    room = 2 * (getattr(executor, "_max_workers", 1) or 1)
    try:
        while more or waiting or later:
            while len(waiting) < room and (later or more):
                task = later.pop(0) if later else next(source, None)
                if task is None:
                    more = False
                    break
                waiting[executor.submit(work.attempt, *task)] = task[0]
            for future in wait(waiting, return_when=FIRST_COMPLETED).done if waiting else ():
                yield waiting.pop(future), future.result()
    except BrokenProcessPool as error:
        raise RunError(
            "a process that cut tiles was killed",
            value="perhaps by the system, for want of memory",
            next_step="give the same command again, with fewer --workers: what is finished is kept",
        ) from error


@contextmanager
def _executor(workers: int) -> Iterator[Executor]:
    """Processes started afresh (spawn), or this one alone."""
    if workers == 1:
        try:
            yield _Here()
        finally:
            work.release()
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """In a new process: leave Ctrl-C to the first one, and end with it, whatever ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Here(Executor):
    """Does each task when it is given, in this process."""

    _max_workers = 0.5

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The task, done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def _all_bad(failures: Sequence[work.Failure]) -> Exception:
    first = failures[0].error()
    if len(failures) > 1:
        first.thing = f"none of {len(failures)} slides can be used; the first, {failures[0].name}: {first.thing}"
        return type(first)(first.thing, value=first.value, allowed=first.allowed, next_step=first.next_step)
    return first
