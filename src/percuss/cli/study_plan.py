"""percuss study plan: how large a reader study must be, and what one of a given size can show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from percuss.cli.options import Seed, StudySecret, Verbose
from percuss.cli.pasteable import Typed, shell_path
from percuss.core.errors import UsageError

if TYPE_CHECKING:
    from percuss.study.design.public import PublicProtocol
    from percuss.study.planning.given_size import Reach
    from percuss.study.planning.needed_size import Needed
    from percuss.study.planning.positives import Positives

Option = typer.Option
Share = float | None
_PAIRED = ("no_loss", "difference")


def plan(  # noqa: PLR0913
    study: Annotated[Path | None, typer.Argument(help="A created study: say what it can show.")] = None,
    *,
    protocol: Annotated[Path | None, Option(help="A frozen protocol, of an export: say what it can show.")] = None,
    secret: StudySecret = None,
    margin: Annotated[Share, Option(help="Show that readers lose less than this on copies (5 points: 0.05).")] = None,
    effect: Annotated[Share, Option(help="Find that readers lose this on perturbed copies.")] = None,
    undetectable: Annotated[
        Share, Option(help="2AFC: show that readers pick the changed image of two in less than this share.")
    ] = None,
    detectable: Annotated[
        Share, Option(help="2AFC: show that readers who pick it in this share do so above chance.")
    ] = None,
    d_prime: Annotated[bool, Option("--d-prime", help="The share of a 2AFC question is given as d'.")] = False,
    discordance: Annotated[
        Share, Option(help="Share of pairs that a reader answers differently. Default 0.1 with --cases alone.")
    ] = None,
    loss: Annotated[float, Option(help="With --margin: the loss that readers truly have.")] = 0.0,
    cases: Annotated[int | None, Option(help="The size is given: say what so many cases can show.")] = None,
    harmful: Annotated[int | None, Option(help="With --cases: flips, right on the original only.")] = None,
    helpful: Annotated[int | None, Option(help="With --cases: flips, right on the copy only.")] = None,
    readers: Annotated[int, Option(help="Readers; each reads every case.")] = 1,
    copies: Annotated[int, Option(help="How often a reader sees each image: adds time, not power.")] = 1,
    case_share: Annotated[float, Option(help="Correlation of two readers' answers on a case.")] = 0.0,
    reader_share: Annotated[
        float, Option(help="Correlation of a reader's answers on two cases; 0: the result holds for these readers.")
    ] = 0.0,
    alpha: Annotated[float, Option(help="One-sided; 0.025 answers to a two-sided 95 % interval.")] = 0.025,
    power: Annotated[float, Option(help="Chance that the study shows it where it is so.")] = 0.8,
    seconds: Annotated[
        float | None, Option(help="Seconds of a trial. Default 10 for a diagnosis, 6 for a forced choice.")
    ] = None,
    test: Annotated[str, Option(help="score (Tango, Nam) or wald (Liu; too bold in small studies).")] = "score",
    draws: Annotated[int, Option(help="Simulated studies; 0 leaves the simulation out.")] = 4000,
    seed: Seed = 0,
    as_json: Annotated[bool, Option("--json", help="Print it as JSON on stdout.")] = False,
    verbose: Verbose = False,
) -> None:
    """Plan a reader study: the cases, trials and minutes that a question needs, or what a given size can show.

    Give one of --margin, --effect, --undetectable and --detectable, or --cases; or both: the power of that size. Or
    give a created study: what each of its endpoints can show.
    """
    from percuss.study.planning.seconds import SECONDS

    asked = {"no_loss": margin, "difference": effect, "undetectable": undetectable, "detectable": detectable}
    size = {"readers": readers, "copies": copies, "case_share": case_share, "reader_share": reader_share}
    goal = {"alpha": alpha, "power": power, "discordance": discordance}
    if study is not None or protocol is not None:
        if cases is not None or any(value is not None for value in asked.values()) or None not in (study, protocol):
            raise UsageError("a study has its size and its questions", next_step="give one study or protocol alone")
        _tell_study((study, secret), protocol, {**size, **goal, "seconds": seconds}, as_json=as_json)
        return
    question = _question(asked, as_d_prime=d_prime, alone=cases is None)
    pairs = question is None or question[0] in _PAIRED
    size["seconds"] = SECONDS["diagnosis" if pairs else "choice"] if seconds is None else seconds
    planned = None
    if question is not None:
        settings = {"loss": loss, "test": test, **size, **goal}
        planned = _planned(question, settings, cases, draws=draws, seed=seed)
    flips = None if harmful is None and helpful is None else (harmful or 0, helpful or 0)
    reached = _reached(cases, size, goal, flips=flips) if pairs else None
    if as_json:
        print(json.dumps(_record(planned, reached), allow_nan=False))
    else:
        print("\n\n".join(_parts(planned, reached)))


def _tell_study(
    study: tuple[Path | None, Path | None], protocol: Path | None, settings: dict[str, Any], *, as_json: bool
) -> None:
    from percuss.study.design.protocol import load
    from percuss.study.design.public import public_of
    from percuss.study.planning.plan_study import Assumed, endpoints_reach, positives_in, study_record, study_text

    if protocol is not None:
        _check_frozen_file(protocol)
        frozen = load(protocol)
        public, positives = public_of(frozen), positives_in(frozen)
    else:
        public, positives = _of_folder(*study)
    names = ("power", "case_share", "reader_share", "seconds")
    supposed = {name: settings[name] for name in names}
    if settings["discordance"] is not None:
        supposed["discordance"] = settings["discordance"]
    assumed = Assumed(**supposed)
    found = endpoints_reach(public, assumed, positives=positives)
    if as_json:
        print(json.dumps({"study": study_record(public, found, assumed)}, allow_nan=False))
    else:
        print(study_text(public, found, assumed))


def _of_folder(study: Path | None, secret: Path | None) -> tuple[PublicProtocol, Positives | None]:
    """A study's protocol and, where the secret is at hand, how many cases are positive and of how many patients.

    No more of the key is looked at.
    """
    from percuss.study.extra import require_extra
    from percuss.study.folder import StudyFolder
    from percuss.study.mistaken import check_is_study, is_export
    from percuss.study.planning.plan_study import positives_in

    assert study is not None, "a study or a protocol is given"
    if is_export(study):
        step = f"percuss study plan --protocol {shell_path(study / 'protocol.json')}"
        raise UsageError("this is an export, not a study", value=study, next_step=step)
    check_is_study(study)
    folder = StudyFolder(study)
    public = folder.public()
    if secret is None and not folder.secret_path.exists():
        return public, None
    require_extra()
    from percuss.study.seal import load_key

    return public, positives_in(load_key(folder, secret).frozen)


def _check_frozen_file(path: Path) -> None:
    """UsageError where the file is what a study shows of its protocol: the whole of it is sealed, or in an export."""
    if (path.parent / "sealed.bin").exists():
        step = Typed(path.parent).command("plan")
        raise UsageError("this is the protocol without what is sealed", value=path, next_step=step)


def _question(asked: dict[str, Share], *, as_d_prime: bool, alone: bool) -> tuple[str, float] | None:
    from percuss.study.planning.power import percent_correct

    given = [(question, value) for question, value in asked.items() if value is not None]
    if len(given) > 1 or (alone and not given):
        raise UsageError(
            "one question is planned at a time" if given else "nothing is asked of the study",
            allowed="one of --margin, --effect, --undetectable and --detectable, or --cases",
            next_step="percuss study plan --margin 0.1 --discordance 0.2, or percuss study plan --cases 20",
        )
    if as_d_prime and (not given or given[0][0] in _PAIRED):
        raise UsageError("--d-prime without a question of 2AFC", next_step="give --undetectable or --detectable")
    if not given:
        return None
    question, value = given[0]
    return question, percent_correct(value) if as_d_prime else value


def _planned(
    question: tuple[str, float], settings: dict[str, Any], cases: int | None, *, draws: int, seed: int
) -> Needed:
    from percuss.study.planning.needed_size import Wanted, needed, sized

    wanted = Wanted(*question, **settings)
    return needed(wanted, draws=draws, seed=seed) if cases is None else sized(wanted, cases, draws=draws, seed=seed)


def _reached(
    cases: int | None, size: dict[str, Any], goal: dict[str, Any], *, flips: tuple[int, int] | None
) -> Reach | None:
    from percuss.study.planning.given_size import Size, reach

    if flips is not None and (cases is None or size["readers"] > 1):
        raise UsageError(
            "--harmful and --helpful count the flips of one reader on given cases",
            next_step="give --cases, and no --readers",
        )
    if cases is None:
        return None
    discordance = 0.1 if goal["discordance"] is None else goal["discordance"]
    return reach(Size(cases, **size), flips=flips, **(goal | {"discordance": discordance}))


def _record(planned: Needed | None, reached: Reach | None) -> dict[str, Any]:
    from percuss.study.planning.plan_record import needed_record, reach_record

    return {
        "needed": None if planned is None else needed_record(planned),
        "size": None if reached is None else reach_record(reached),
    }


def _parts(planned: Needed | None, reached: Reach | None) -> list[str]:
    from percuss.study.planning.given_size import reach_text
    from percuss.study.planning.plan_text import needed_text

    parts = [] if planned is None else [needed_text(planned)]
    return parts if reached is None else [*parts, reach_text(reached)]
