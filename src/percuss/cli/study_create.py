"""percuss study create: a reader study from a finished audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from percuss.cli.options import (
    AllowCode,
    FinishedRun,
    Quiet,
    RunBatchSize,
    RunData,
    RunDevice,
    RunModel,
    RunThreads,
    RunWeights,
    StudyAddress,
    StudyJson,
    Verbose,
)
from percuss.cli.pasteable import Typed
from percuss.cli.study_enrol import ADDRESS

if TYPE_CHECKING:
    from percuss.pipeline.study_create import Created

Option = typer.Option
Text = str | None


def create(  # noqa: PLR0913
    run: FinishedRun,
    *,
    out: Annotated[Path, Option(help="Folder to make; the secret of the sealed key becomes OUT.key beside it.")],
    preset: Annotated[str, Option(help="default, or foote: 20 true positives, two copies of each.")] = "default",
    protocol: Annotated[Path | None, Option(help="TOML file of what the study shall be; options replace it.")] = None,
    title: Annotated[Text, Option(help="Name that readers see.")] = None,
    cases: Annotated[Text, Option(help="How many, or by class: tumour=12,normal=8.")] = None,
    budget: Annotated[
        list[str] | None, Option(help="Sizes of the attack, of one norm, such as linf=1/255,2/255; repeatable.")
    ] = None,
    task: Annotated[
        list[str] | None, Option(help="diagnosis, manipulation, choice or same, by commas or repeated.")
    ] = None,
    copies: Annotated[int | None, Option(help="How often each reader sees each trial.")] = None,
    readers: Annotated[int | None, Option(help="Readers planned; more can be enrolled.")] = None,
    sessions: Annotated[int | None, Option(help="Sittings, with the wash-out between.")] = None,
    washout_days: Annotated[float | None, Option(help="Days from a session's last answer to the next.")] = None,
    distance: Annotated[int | None, Option(help="Places that two trials of a case lie apart at least.")] = None,
    margin: Annotated[float | None, Option(help="Loss that still counts as none (5 points are 0.05).")] = None,
    alpha: Annotated[float | None, Option(help="One-sided error rate of the primary endpoint.")] = None,
    positive: Annotated[Text, Option(help="Class that counts as positive. Default the last one.")] = None,
    only_flipped: Annotated[
        bool | None, Option("--only-flipped/--all-right", help="Only cases whose attack flips the model as stored.")
    ] = None,
    ask_seen: Annotated[
        bool | None, Option("--ask-seen/--no-ask-seen", help="Ask readers whether they remember the case.")
    ] = None,
    seed: Annotated[
        int | None, Option(help="Of cases and orders. Default drawn, so that nobody can draw them again.")
    ] = None,
    database: Annotated[Text, Option(help="URL of a PostgreSQL database. Default study.db in the folder.")] = None,
    address: StudyAddress = ADDRESS,
    data: RunData = None,
    model: RunModel = None,
    weights: RunWeights = None,
    allow_code: AllowCode = False,
    device: RunDevice = None,
    batch_size: RunBatchSize = None,
    threads: RunThreads = None,
    as_json: StudyJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Create a blinded reader study from a finished audit: cases drawn, protocol frozen, key sealed, orders drawn.

    The model judges the very files that readers will see. An administrator is enrolled, who sees progress and no
    answers; readers are added by percuss study enrol. Needs the extra: pip install 'percuss[study]'.
    """
    from percuss.cli.console import talk
    from percuss.cli.study_open import checked_address
    from percuss.pipeline.study_create import create_study

    address = checked_address(address)
    options = {
        "protocol": protocol,
        "title": title,
        "cases": None if cases is None else int(cases) if cases.isdecimal() else cases,
        "budgets": budget,
        "tasks": task,
        "copies": copies,
        "readers": readers,
        "sessions": sessions,
        "washout_days": washout_days,
        "distance": distance,
        "margin": margin,
        "alpha": alpha,
        "positive": positive,
        "only_flipped": only_flipped,
        "ask_seen": ask_seen,
        "seed": seed,
        "database": database,
        "weights": weights,
        "allow_code": allow_code or None,
        "device": device,
        "batch_size": batch_size,
        "threads": threads,
    }
    try:
        made = create_study(run, out=out, preset=preset, data=data, model=model, progress=talk(quiet=quiet), **options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(out)) from None
    _tell(made, address, as_json=as_json, quiet=quiet)


def _tell(made: Created, address: str, *, as_json: bool, quiet: bool) -> None:
    from percuss.cli.study_open import as_record, tell_once

    if as_json:
        paths = {"study": str(made.path), "secret": str(made.secret_path)}
        administrator = as_record(made.administrator, address)
        counts = {"trials": made.trials, "minutes": made.minutes}
        print(json.dumps({**paths, **counts, "words": made.words, "administrator": administrator}))
        return
    typed = Typed(made.path)
    if quiet:  # link and code are told all the same: nobody could log in without
        tell_once(made.administrator, address, typed)
        return
    print("\n".join(made.words))
    print(f"\nstudy  {made.path}\nsecret {made.secret_path}: keep it apart from the study until that is closed\n")
    tell_once(made.administrator, address, typed)
    print(f"\nNext: {typed.command('plan')}\n      {typed.command('enrol', '--name NAME')}")
    print(f"      {typed.command('serve')}")


def _stopped(out: Path) -> str:
    """What somebody who interrupted finds at ``out``: nothing, unless the study was finished in that very moment."""
    if not (out / "study.json").exists():
        return f"Nothing of the study is kept, and {out} is free: the same command begins anew."
    renew = Typed(out).command("renew", "--name administrator --reason 'never shown'")
    return f"The study was finished all the same; link and code of its administrator: {renew}"
