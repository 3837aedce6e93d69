"""Creating a reader study from a finished audit: cases drawn, files made and judged, everything frozen and sealed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from percuss.pipeline.study_files import Files, Making, make_files, model_says, portions, unfit
from percuss.pipeline.study_model import Source, reopen
from percuss.pipeline.study_options import read_options
from percuss.pipeline.study_protocol import check_protocol, protocol_of
from percuss.pipeline.study_tiles import picture_of
from percuss.pipeline.survive import REPLACES
from percuss.study.design.key import CaseKey, ModelSays
from percuss.study.extra import require_extra
from percuss.study.folder import Pixels, StudyFolder
from percuss.study.spool import Spool

if TYPE_CHECKING:
    from percuss.study.credentials import Credentials

#: Name under which the administrator of a new study is enrolled.
ADMINISTRATOR = "administrator"
#: Images left out that are named in the words of a study.
SHOWN = 10


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
class _Case:
    """A case whose files are in the spool: their SHA-256, and what the model says of them, by arm."""

    images: dict[str, str]
    says: dict[str, ModelSays]


@dataclass(frozen=True)
class _Chosen:
    """The cases by id, in the order of the protocol, and why others were left out."""

    cases: dict[str, _Case]
    refused: dict[str, str]


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

    The model judges the very bytes of each file that readers see; what it says stands in the key. A failed or killed
    call leaves nothing at ``out``, and the same call then starts anew; a study that is there is never touched.

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
    with attempt(path, say) as place:
        found = open_finished(Path(run), Path(run).name)
        design = make_design(found, wanted, preset)
        pools = make_pools(found, design, preset)
        check_protocol(found, design, pools)
        _check_database(wanted.database)
        making, notes = _opened(found, design, source, say)
        with Spool(place.spool) as spool:
            with environment.threads(making.work.plan.threads if making.work else None):
                chosen = _choose(making, pools, spool)
            made = _written(place.study, making, chosen, pictures=spool)
    told = [*made.words, *_left_out(chosen.refused), *notes]
    return replace(made, path=path, secret_path=StudyFolder(path).secret_path, words=told)


def _check_database(url: str | None) -> None:
    """RunError where a database cannot be reached or is taken: said before the minutes that attacks take."""
    from percuss.study.database import is_new_file, open_database

    if url is None or is_new_file(url):  # it is made with the study
        return
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


def _choose(making: Making, pools: Sequence[Pool], spool: Spool) -> _Chosen:
    """Draw the cases; those whose files make no case are left out, and the next ones take their places."""
    refused: dict[str, str] = {}
    cases: dict[str, _Case] = {}
    making.say.line(_what(making, pools))
    wanted = sum(pool.wanted for pool in pools)
    making.say.start("cases", wanted)
    try:
        while True:
            for pool in pools:
                check_enough(pool, making.design, refused)
            drawn = [[name for name in pool.ids if name not in refused][: pool.wanted] for pool in pools]
            taken = [name for names in drawn for name in names]
            new = [name for name in taken if name not in cases]
            if not new:
                return _Chosen({name: cases[name] for name in taken}, refused)
            for ids in portions(new, making.found.results.data.shape):
                fit, wrong = _made(making, ids, spool)
                cases, refused = cases | fit, refused | wrong
                # Each file is written once more at the end; better now than after hours that it has no room.
                spool.check_room(2 * wanted * len(making.design.files) - len(spool))
                making.say.advance(len(fit))
    finally:
        making.say.stop()


def _made(making: Making, ids: Sequence[str], spool: Spool) -> tuple[dict[str, _Case], dict[str, str]]:
    """One portion made, judged and put into the spool, and why some of it makes no case; its images are let go."""
    portion = make_files(making, ids)
    told = model_says(making, portion)
    wrong = portion.refused | unfit(making, portion.files, told)
    for name, why in wrong.items():
        making.say.line(f"{name} is left out: {why}")
    fit = {name: files for name, files in portion.files.items() if name not in wrong}
    return {name: _Case(_kept(spool, making, files), told[name]) for name, files in fit.items()}, wrong


def _kept(spool: Spool, making: Making, files: Files) -> dict[str, str]:
    """The SHA-256 of each arm's picture, as readers are sent it and as the spool keeps it."""
    return {arm: spool.add(picture_of(shown.png, making.design.pixels)) for arm, shown in files.items()}


def _what(making: Making, pools: Sequence[Pool]) -> str:
    cases, files = sum(pool.wanted for pool in pools), making.design.files
    judged = "judged by the model" if making.work else "as the audit kept them, the model being gone"
    return f"{cases} cases, {len(files)} files of each, {judged}: {', '.join(files)}"


def _left_out(refused: Mapping[str, str]) -> list[str]:
    """Images that are no cases, as lines: the first few by name, all of them in the key."""
    told = [f"{name} was left out: {why}" for name, why in list(refused.items())[:SHOWN]]
    more = len(refused) - len(told)
    return [*told, f"{more} more were left out; the key names them"] if more else told


def _written(path: Path, making: Making, chosen: _Chosen, *, pictures: Spool) -> Created:
    from percuss.study.access import enrol
    from percuss.study.creating import Draft, create_folder

    known = truths_of(making.found)
    truths = {name: known[name] for name in chosen.cases}
    hashes = {name: case.images for name, case in chosen.cases.items()}
    protocol = protocol_of(making.found, making.design, truths=truths, images=hashes)
    trials = protocol.trials()
    sizes, largest = flip_sizes(making.found)
    draft = Draft(
        protocol=protocol,
        pictures=pictures,
        cases=tuple(CaseKey(id=name, model=case.says, flip_eps=sizes[name]) for name, case in chosen.cases.items()),
        pixels=_pixels(making),
        largest_tried=largest,
        model=making.found.results.model.sha256,
        run=making.found.results.run_id,
        left_out=chosen.refused,
    )
    making.say.line(f"{len(pictures)} files are written under random names")
    study, _ = create_folder(path, draft, database=making.design.options.database)
    try:
        administrator = enrol(study, ADMINISTRATOR, role="administrator", who="server")
    finally:
        study.database.close()
    secret = study.folder.secret_path
    return Created(path, secret, administrator, len(trials), minutes(trials), words(making.design, protocol))


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
