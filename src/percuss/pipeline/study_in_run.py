"""Closed reader studies in the audit that they were made of: checked, kept in the run's folder, and told of."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from percuss.core.errors import RunError, UsageError
from percuss.core.reader_study import ReaderStudy, SeenSize
from percuss.core.study_results import StudyResults
from percuss.report.reader_study import VOUCHED
from percuss.report.reader_study_schema import read_study_results
from percuss.report.reader_study_section import kept_study
from percuss.report.schema import as_text
from percuss.store.folder import RunFolder
from percuss.study.folder import StudyFolder

#: Which studies a run keeps, in the order in which they were added; their results lie in the folder ``reader_study``.
KEPT = "reader_study.json"
_FOLDER = "reader_study"


class _Kept(BaseModel):
    """A study that a run keeps, by names of ``core.reader_study.ReaderStudy``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    results: str
    results_sha256: str
    kept: str
    same_run_file: bool


_LIST = TypeAdapter(list[_Kept])


def keep_studies(folder: RunFolder, studies: Sequence[Path], *, forget: bool = False) -> None:
    """Keep the results of closed studies in the run that they were made of: all of them, or none where one cannot be.

    Args:
        folder: the run.
        studies: folders of studies; one that is kept already is renewed in its place.
        forget: let go of those that the run keeps.

    Raises:
        RunError: no study; one that is open, without results, with those of something else, or of another run.
        UsageError: one study twice.
    """
    kept = {} if forget else {item.id: item for item in _read(folder.path)}
    added: dict[str, tuple[_Kept, bytes]] = {}
    for path in studies:
        results, content = _results_of(path)
        _check_run(folder, path, results)
        if results.study.id in added:
            raise UsageError("a study is named twice", value=path, next_step="give each --study once")
        added[results.study.id] = (_kept(folder, path, results, content), content)
    for item, content in added.values():
        folder.write(item.kept, content)
    kept |= {name: item for name, (item, _) in added.items()}
    if kept:
        folder.write(KEPT, as_text([item.model_dump() for item in kept.values()]))
    else:
        (folder.path / KEPT).unlink(missing_ok=True)
    names = {item.kept for item in kept.values()}
    for path in (folder.path / _FOLDER).glob("*.json"):
        if f"{_FOLDER}/{path.name}" not in names:
            path.unlink(missing_ok=True)


def kept_studies(folder: RunFolder) -> list[ReaderStudy]:
    """What results.json says of the studies that a run keeps; RunError where what it kept is gone or changed."""
    return [_told(item, kept_study(folder.path, item.kept, item.results_sha256)) for item in _read(folder.path)]


def _read(run: Path) -> list[_Kept]:
    path = run / KEPT
    if not path.exists():
        return []
    try:
        return _LIST.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        step = "percuss report RUN --no-study --study STUDY keeps them anew; without --study there are none any more"
        raise RunError("the list of the run's reader studies cannot be read", value=path, next_step=step) from error


def _results_of(path: Path) -> tuple[StudyResults, bytes]:
    """Results of a closed study, and their bytes; only files are read, no database and no key."""
    study, step = StudyFolder(path), f"percuss study results {shlex.quote(str(path))}"
    info, public, file = study.info(), study.public(), path / "results.json"
    if not study.closed_path.exists():
        raise RunError(
            "the study is open, or its closed.json is gone: nothing of it is told before it is closed",
            value=path,
            next_step=f"percuss study close {shlex.quote(str(path))} --reason ..., then {step}",
        )
    if not file.exists():
        raise RunError("the study has no results yet", value=path, next_step=step)
    results, content = read_study_results(file), file.read_bytes()
    told = results.study
    faults = {
        "of another study": told.id != info.id,
        "of another protocol": told.protocol_hash != info.protocol_hash,
        "of other amendments": told.last_hash != (public.amendments[-1].hash if public.amendments else public.hash),
        "of another audit trail": (told.trail_number, told.trail_hash) != _head(study.closed_path),
        "not what report.html beside it was drawn from": not _drawn(path / "report.html", content),
    }
    wrong = [what for what, is_so in faults.items() if is_so]
    if wrong:
        raise RunError(
            "results.json is not that of the study", value=f"{file}: {', '.join(wrong)}", next_step=f"{step} writes it"
        )
    return results, content


def _head(path: Path) -> tuple[object, object]:
    """Number and hash of the last record of the trail, as closed.json has them."""
    try:
        noted = json.loads(path.read_bytes())
        return noted["number"], noted["hash"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _drawn(page: Path, content: bytes) -> bool:
    """Whether a study's page says that it was drawn from this results.json."""
    wanted = f'<meta name="{VOUCHED}" content="{hashlib.sha256(content).hexdigest()}">'
    try:
        return wanted in page.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _check_run(folder: RunFolder, path: Path, results: StudyResults) -> None:
    run, model = folder.run_id, folder.manifest["identity"].get("model (--model, --weights)", "")
    told = results.study
    if (told.run, told.model_sha256) != (run, model):
        raise RunError(
            "the study was made of another run",
            value=f"{path}: run {told.run or 'none'}, model {told.model_sha256[:16] or 'unknown'}",
            allowed=f"run {run}, model {model[:16]}",
            next_step="name the run that percuss study create was given",
        )


def _kept(folder: RunFolder, path: Path, results: StudyResults, content: bytes) -> _Kept:
    sha, file = hashlib.sha256(content).hexdigest(), (path / "results.json").resolve()
    try:
        seen = Path(os.path.relpath(file, folder.path.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        seen = file.as_posix()
    return _Kept(
        id=results.study.id,
        results=seen,
        results_sha256=sha,
        kept=f"{_FOLDER}/{results.study.id}-{sha[:8]}.json",
        same_run_file=results.study.run_sha256 in _hashes(folder.path / "results.json"),
    )


def _hashes(path: Path) -> set[str]:
    """SHA-256 of the run's results.json as it is and as it was before its studies joined, the last ones first.

    None where it cannot be read. A study may have been made when others had joined already.
    """
    try:
        content = path.read_bytes()
        whole = json.loads(content)
        joined = whole.pop("reader_study", [])
        before = [whole, *(whole | {"reader_study": joined[:count]} for count in range(1, len(joined)))]
    except (OSError, ValueError, AttributeError, TypeError):
        return set()
    return {hashlib.sha256(text).hexdigest() for text in (content, *(as_text(one).encode() for one in before))}


def _told(item: _Kept, results: StudyResults) -> ReaderStudy:
    study, readers = results.study, results.readers
    return ReaderStudy(
        **item.model_dump(),
        title=study.title,
        closed=study.closed,
        computed=study.computed,
        protocol_hash=study.protocol_hash,
        last_hash=study.last_hash,
        trail_sound=study.trail_sound,
        cases=results.protocol.cases,
        readers=len(readers),
        finished=sum(reader.answered == reader.total > 0 for reader in readers),
        answers=sum(reader.answered for reader in readers),
        asked=sum(reader.total for reader in readers),
        endpoints=results.endpoints,
        thresholds=[
            SeenSize.model_validate(one.model_dump(include=set(SeenSize.model_fields)))
            for one in results.thresholds
            if one.scope == "all"
        ],
        deviations=results.deviations,
        findings=results.findings,
    )
