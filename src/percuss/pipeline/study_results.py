"""Results of a closed study: verified, unsealed, computed, and written as results.json and report.html."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from percuss.core.errors import PercussError, RunError
from percuss.core.images import PixelRange
from percuss.core.study_results import StudyRecord, StudyResults
from percuss.pipeline.environment import version
from percuss.report.reader_study import write_study_report
from percuss.report.reader_study_schema import write_study_results
from percuss.report.reader_study_text import results_text
from percuss.study.design.key import Key
from percuss.study.design.protocol import in_force
from percuss.study.extra import require_extra
from percuss.study.results.sizes import sizes_of

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy
    from percuss.study.results.happened import Happened
    from percuss.study.verification.whole import StudyVerdict


@dataclass(frozen=True)
class StudyResulted:
    """Results of a study: the record, where it and its page lie, and a page of text for a terminal."""

    results: StudyResults
    json_path: Path
    report_path: Path
    text: str


def study_results(
    path: Path | str, secret_file: Path | None = None, *, database: str | None = None, unsound: bool = False
) -> StudyResulted:
    """Compute the results of a closed study and write ``results.json`` and ``report.html`` into its folder.

    Args:
        path: the study's folder.
        secret_file: with the secret of the sealed key; None takes the one beside the folder.
        database: URL of the database, as for ``open_study``.
        unsound: compute although verification fails, as a severe deviation.

    Raises:
        RunError: no study, an open one, one that does not verify, or a key that cannot be opened.
    """
    require_extra()
    from percuss.study.opening import open_study

    study = open_study(Path(path), database=database)
    try:
        return _write(study, secret_file, unsound=unsound)
    finally:
        study.database.close()


def _write(study: OpenStudy, secret_file: Path | None, *, unsound: bool) -> StudyResulted:
    from percuss.study.results.compute import Studied, compute
    from percuss.study.results.gather import gather, happened
    from percuss.study.seal import load_key
    from percuss.study.verification.whole import verify_study

    _check_closed(study)
    key = load_key(study.folder, secret_file)
    verdict = verify_study(study, key=key)
    if not verdict.sound and not unsound:
        raise RunError(
            "the study is not as it was written",
            value="; ".join(verdict.faults[:3]),
            allowed="a study that verifies",
            next_step="look into it with percuss study verify STUDY; --unsound computes all the same and says so",
        )
    told = happened(study, key, faults=verdict.faults)
    shape, pixels = _images(study)
    sizes = sizes_of(in_force(key.frozen), shape=shape, pixels=pixels)
    studied = Studied(gather(study, key), key, told, sizes)
    results = compute(studied, _about(study, key, told, verdict))
    folder = study.folder.path
    json_path = write_study_results(results, folder / "results.json")
    return StudyResulted(results, json_path, write_study_report(results, folder / "report.html"), results_text(results))


def _check_closed(study: OpenStudy) -> None:
    from percuss.study.reasons import is_open

    with study.database.read() as session:
        still = is_open(session)
    if still:
        raise RunError(
            "the study is open: its key stays sealed until it is closed",
            value=study.folder.path,
            next_step="percuss study close STUDY --reason WHY",
        )


def _about(study: OpenStudy, key: Key, told: Happened, verdict: StudyVerdict) -> StudyRecord:
    protocol, noted = in_force(key.frozen), _noted(study.folder.closed_path)
    return StudyRecord(
        id=study.info.id,
        title=protocol.title,
        created=study.info.created,
        closed=told.closed,
        computed=datetime.now().astimezone().isoformat(timespec="seconds"),
        percuss_version=version(),
        run=key.run or study.info.run_id,
        run_sha256=protocol.run,
        model_sha256=key.model,
        protocol_hash=key.frozen.hash,
        last_hash=key.frozen.last_hash,
        trail_number=noted[0],
        trail_hash=noted[1],
        trail_sound=verdict.sound,
    )


def _noted(path: Path) -> tuple[int, str]:
    """The head of the trail as it was noted at closing; 0 and nothing where it was not."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        return int(noted["number"]), str(noted["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""


def _images(study: OpenStudy) -> tuple[tuple[int, int, int] | None, PixelRange | None]:
    """Shape and native range of the images, as sizes in rms, mean or native units need them.

    A shape is None where images are of several, so that such a size is another change in each; a range where
    ``study.json`` has none that holds.
    """
    from percuss.study.app.pictures import geometry

    given = study.info.pixels
    pixels = shapes = None
    with suppress(PercussError):
        pixels = PixelRange(given.low, given.high, (given.high - given.low) / given.levels, given.unit)
    with suppress(PercussError):
        # Of large cases a picture is a folder of tiles.
        found = [geometry(path) for path in sorted(study.folder.images.glob("*"))]
        shapes = {(item.channels, item.height, item.width) for item in found}
    return (shapes.pop() if shapes is not None and len(shapes) == 1 else None), pixels
