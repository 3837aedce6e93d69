"""Creating a reader study from a finished audit: cases drawn, files made and judged, everything frozen and sealed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from percuss.core.errors import RunError
from percuss.core.images import ImageSet
from percuss.core.model import Model
from percuss.pipeline import environment
from percuss.pipeline.finished import Finished, open_finished
from percuss.pipeline.progress import Progress
from percuss.pipeline.study_attempt import attempt
from percuss.pipeline.study_cases import Pool, check_enough, flip_sizes, make_pools, truths_of
from percuss.pipeline.study_design import Design, make_design, minutes, words
from percuss.pipeline.study_files import Files, Making, make_files, model_says, unfit
from percuss.pipeline.study_model import Source, reopen
from percuss.pipeline.study_options import read_options
from percuss.pipeline.study_protocol import check_protocol, protocol_of
from percuss.pipeline.study_tiles import pictures_of
from percuss.pipeline.survive import REPLACES
from percuss.study.design.key import CaseKey, ModelSays
from percuss.study.extra import require_extra
from percuss.study.folder import Pixels
from percuss.study.pictures import sha_of

if TYPE_CHECKING:
    from percuss.study.credentials import Credentials

#: Name under which the administrator of a new study is enrolled.
ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Created:
    """A study that was created.

    Attributes:
        path: its folder.
        secret_path: the file that opens the sealed key: to be kept apart from the folder.
        administrator: the code and link of whoever watches the study; shown this once.
        trials, minutes: of one reader.
        words: what a terminal says of it.
    """

    path: Path
    secret_path: Path
    administrator: Credentials
    trials: int
    minutes: float
    words: list[str]


@dataclass(frozen=True)
class _Chosen:
    """Cases with their truths, files, and what the model says of them."""

    truths: dict[str, str]
    files: dict[str, Files]
    says: dict[str, dict[str, ModelSays]]


def create_study(
    run: Path | str,
    *,
    out: Path | str,
    preset: str = "default",
    data: ImageSet | str | None = None,
    model: Model | nn.Module | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Created:
    """Create a reader study of a finished audit, its protocol frozen, its key sealed; docs/study-create.md.

    Args:
        run: folder of ``percuss audit``.
        out: folder to make; the secret of its key becomes ``OUT.key`` beside it.
        preset: ``default``, or ``foote``: 20 true positives and their attacked copies, each read twice.
        data, model: instead of the run's, where they were given in Python or have moved; they must be the same.
        progress: told what happens.
        options: fields of ``study_options.StudyOptions``, with ``protocol`` a TOML file of them, whose values those
            given by name replace; and ``weights``, ``allow_code``, ``device``, ``batch_size``, ``threads``.

    The model judges the very bytes of each file that readers see; what it says stands in the key. A killed call leaves
    nothing that is a study, and the same call then starts anew; a study that is there is never touched.

    Raises:
        UsageError: an option that cannot be honoured, a folder that is taken, packages of the extra ``study`` missing.
        RunError: no finished audit, too few cases, images or model needed and gone, or others than the run's.
    """
    require_extra()
    from percuss.study.database import WHOLE_URL

    say, path = progress or Progress(), Path(out)
    source = Source(data, model, {name: options.pop(name) for name in REPLACES if name in options})
    protocol = options.pop("protocol", None)
    wanted = read_options(preset, None if protocol is None else Path(protocol), options)
    if wanted.database is None:
        wanted = wanted.model_copy(update={"database": os.environ.get(WHOLE_URL)})
    with attempt(path):
        found = open_finished(Path(run), Path(run).name)
        design = make_design(found, wanted, preset)
        pools = make_pools(found, design, preset)
        check_protocol(found, design, pools)
        _check_database(wanted.database)
        making, notes = _opened(found, design, source, say)
        with environment.threads(making.work.plan.threads if making.work else None):
            chosen = _choose(making, pools)
        return _written(path, making, chosen, notes)


def _check_database(url: str | None) -> None:
    """RunError where a database cannot be reached or is taken: said before the minutes that attacks take."""
    if url is None or url.startswith("sqlite"):  # a file is made with the study
        return
    from percuss.study.database import open_database
    from percuss.study.opening import study_in

    database = open_database(url)
    try:
        held = study_in(database)
    finally:
        database.close()
    if held:
        step = "make a new database, or leave --database out"
        raise RunError("the database holds a study already", value=f"{database.url}: study {held}", next_step=step)


def _opened(found: Finished, design: Design, source: Source, say: Progress) -> tuple[Making, list[str]]:
    """What files are made from. Flips that the audit kept need no model: where it is gone, a note says so."""
    try:
        return Making(found, design, reopen(found, source), say), []
    except RunError as error:
        named = source.data is not None or source.model is not None
        if named or not design.as_kept or "not that of the run" in error.thing or "not those of" in error.thing:
            raise
        return Making(found, design, None, say), [f"the key says what the audit noted, since {error.thing}"]


def _choose(making: Making, pools: Sequence[Pool]) -> _Chosen:
    """Draw the cases; those whose files make no case are left out, and the next ones take their places."""
    refused: dict[str, str] = {}
    files: dict[str, Files] = {}
    says: dict[str, dict[str, ModelSays]] = {}
    while True:
        for pool in pools:
            check_enough(pool, making.design, refused)
        taken = [name for pool in pools for name in [name for name in pool.ids if name not in refused][: pool.wanted]]
        new = [name for name in taken if name not in files]
        if not new:
            truths = truths_of(making.found)
            return _Chosen(
                {name: truths[name] for name in taken},
                {name: files[name] for name in taken},
                {name: says[name] for name in taken},
            )
        made = make_files(making, new)
        making.say.line(f"the model judges {sum(map(len, made.values()))} files")
        told = model_says(making, made)
        refused |= unfit(making, made, told)
        files, says = files | made, says | told


def _written(path: Path, making: Making, chosen: _Chosen, notes: list[str]) -> Created:
    from percuss.study.access import enrol
    from percuss.study.creating import Draft, create_folder

    sent = pictures_of(chosen.files, making.design.pixels)
    hashes = {name: {arm: sha_of(picture) for arm, picture in arms.items()} for name, arms in sent.items()}
    protocol = protocol_of(making.found, making.design, truths=chosen.truths, images=hashes)
    trials = protocol.trials()
    sizes, largest = flip_sizes(making.found)
    draft = Draft(
        protocol=protocol,
        pictures={hashes[name][arm]: picture for name, arms in sent.items() for arm, picture in arms.items()},
        cases=tuple(CaseKey(id=name, model=chosen.says[name], flip_eps=sizes[name]) for name in chosen.truths),
        pixels=_pixels(making),
        largest_tried=largest,
        model=making.found.results.model.sha256,
        run=making.found.results.run_id,
    )
    study, _ = create_folder(path, draft, database=making.design.options.database)
    administrator = enrol(study, ADMINISTRATOR, role="administrator", who="server")
    secret = study.folder.secret_path
    study.database.close()
    told = [*words(making.design, protocol), *notes]
    return Created(path, secret, administrator, len(trials), minutes(trials), told)


def _pixels(making: Making) -> Pixels:
    data, pixels = making.found.results.data, making.design.pixels
    return Pixels(
        levels=pixels.levels,
        low=pixels.low,
        high=pixels.high,
        unit=pixels.unit,
        bits=16 if pixels.levels > 255 else 8,
        channels=3 if data.shape[0] == 3 else 1,
    )
