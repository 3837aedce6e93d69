"""percuss audit: how small a change flips the model, on which images."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from percuss.cli.exits import FAILED
from percuss.cli.options import (
    AllowCode,
    BatchSize,
    Device,
    GreyInside,
    ImagesSpec,
    Limit,
    Pretrained,
    Quiet,
    Region,
    Restarts,
    ResultsJson,
    RunFolderOut,
    Seed,
    Split,
    Steps,
    Threads,
    Verbose,
    Weights,
    one_start,
)
from percuss.core.errors import UsageError

if TYPE_CHECKING:
    from percuss.pipeline.run import Run

Option = typer.Option


def audit(  # noqa: PLR0913
    *,
    data: ImagesSpec,
    model: Annotated[
        str,
        Option(
            help="Model: a folder of percuss train, timm:NAME, smp:NAME, monai:NAME, ... or factory:module:function."
        ),
    ],
    out: RunFolderOut,
    split: Split = "auto",
    attack: Annotated[
        list[str] | None,
        Option(
            help="Attacks, by commas or repeated (percuss list attacks; foolbox:NAME too). Default pgd,fgsm,noise; of "
            "heat maps codesuite,noise where the network has a code, else apgd,pgd,noise."
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        Option(
            help="Sizes of one norm, linf=1/255,2/255; repeat for other norms. "
            "Default linf 0.5 to 8 grey levels and l2 0.1 to 1."
        ),
    ] = None,
    curve: Annotated[
        list[str] | None,
        Option(help="Sizes from, to and number, in equal ratios: linf=0.25/255:8/255:8; the attack is then curve."),
    ] = None,
    suite: Annotated[
        str | None,
        Option(
            help="standard: the strongest verdict for the time; as_autoattack: with AutoAttack's own parameters; "
            "segsuite: for masks; codesuite: for heat maps from a code."
        ),
    ] = None,
    effort: Annotated[
        str | None, Option(help="quick, standard or thorough: how hard the suite or the attack curve tries.")
    ] = None,
    checks: Annotated[
        str | None,
        Option(help="Checks of masked gradients: off, quick (default), standard (default of a suite) or thorough."),
    ] = None,
    label: Annotated[
        str | None, Option(help="Of several labels the one that is judged alone; without it any label may flip.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", help="ATTACK.NAME=VALUE: a setting of one attack, remove.victim=2; repeatable."),
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    steps: Steps = None,
    restarts: Restarts = None,
    confidence: Annotated[float | None, Option(help="Least probability the wrong decision must reach.")] = None,
    rounding: Annotated[
        str | None, Option(help="native: attacks search among images as they can be stored. Default none.")
    ] = None,
    region: Region = None,
    weights: Weights = None,
    pretrained: Pretrained = False,
    allow_code: AllowCode = False,
    grey_inside: GreyInside = False,
    device: Device = "auto",
    threads: Threads = None,
    protocol: Annotated[
        str, Option(help="corrected, or paper: attacks lead away from the model's own prediction.")
    ] = "corrected",
    require: Annotated[
        list[str] | None, Option(help="Fail below this robust accuracy (lower end), linf=2/255:0.60; repeatable.")
    ] = None,
    fail_on: Annotated[str | None, Option(help="Fail on findings as grave: warning or severe.")] = None,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Audit a model: how small a change flips it, on which images, and can the number be believed?

    Writes a run folder with report.html, results.json and per_image.csv. Stopped or killed, the same command goes on.
    """
    from percuss.cli.console import given_command, talk
    from percuss.pipeline.audit import run_audit
    from percuss.pipeline.plan import make_plan

    if fail_on not in (None, "warning", "severe"):
        raise UsageError(
            "unknown value of --fail-on", value=fail_on, allowed="warning, severe", next_step="give --fail-on severe"
        )
    one_start(weights, pretrained=pretrained)
    options: dict[str, Any] = {
        "data": data,
        "model": model,
        "split": split,
        "attacks": attack,
        "budgets": budget,
        "curve": curve,
        "suite": suite,
        "effort": effort,
        "checks": checks,
        "label": label,
        "settings": attack_settings(settings or ()),
        "limit": limit,
        "seed": seed,
        "batch_size": batch_size,
        "steps": steps,
        "restarts": restarts,
        "confidence": confidence,
        "rounding": rounding,
        "region": region,
        "weights": "pretrained" if pretrained else weights,
        "allow_code": allow_code,
        "grey_inside": grey_inside,
        "device": device,
        "threads": threads,
        "protocol": protocol,
        "require": require,
    }
    run = run_audit(make_plan(**options), out=out, progress=talk(quiet=quiet), command=given_command())
    show(run, as_json=as_json, quiet=quiet)
    why = run.failed(fail_on)
    if why:
        print("percuss: the run fails on: " + "; ".join(why), file=sys.stderr)
        raise typer.Exit(FAILED)


def attack_settings(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by attack of ``ATTACK.NAME=VALUE``, the value as TOML has it, or else as text; UsageError otherwise."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        attack, dot, key = name.strip().rpartition(".")
        if not (sign and dot and attack and key):
            raise UsageError(
                "a setting cannot be read", value=text, allowed="ATTACK.NAME=VALUE", next_step="--set remove.victim=2"
            )
        try:
            found.setdefault(attack, {})[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found.setdefault(attack, {})[key] = value.strip()
    return found


def show(run: Run, *, as_json: bool, quiet: bool) -> None:
    """Print the results as JSON, or the verdict, the findings and the page to open."""
    from percuss.cli.console import print_findings

    if as_json:
        print(json.dumps(json.loads((run.path / "results.json").read_text(encoding="utf-8"))))
    elif not quiet:
        print(run.summary)
        print_findings(finding for finding in run.results.findings if finding.severity != "info")
        print(f"report: {run.report}")
