"""percuss reproduce: a published study, end to end."""

from __future__ import annotations

import tomllib
from typing import Annotated, Any

import typer

from percuss.cli.options import AllowCode, Device, Quiet, ResultsJson, RunFolderOut, RunThreads, Seed, Verbose
from percuss.core.errors import UsageError

Option = typer.Option


def reproduce(  # noqa: PLR0913
    name: Annotated[str, typer.Argument(help="foote, joel or wasserman (percuss list recipes), or a .toml file.")],
    *,
    out: RunFolderOut,
    data: Annotated[
        list[str] | None,
        Option(help="Images; repeat as NAME=SPEC for several sets. Default synthetic tissue of the recipe."),
    ] = None,
    protocol: Annotated[str, Option(help="corrected, or paper: as published, flaws included.")] = "corrected",
    quick: Annotated[bool, Option("--quick", help="Few images and epochs: to see it run, within 3 minutes.")] = False,
    settings: Annotated[
        list[str] | None, Option("--set", help="NAME=VALUE: a value of the recipe, for instance epochs=5.")
    ] = None,
    seed: Seed = 0,
    batch_size: Annotated[int | None, Option(min=1, help="Images at once in attacks; results do not depend.")] = None,
    allow_code: AllowCode = False,
    device: Device = "auto",
    threads: RunThreads = None,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a published study as a recipe: its steps, its tables with our numbers, the published ones beside them.

    Writes results.json and report.html, and each step in a folder of its own. Stopped or killed, the same command
    goes on.
    """
    _reproduce(dict(locals()))


def _reproduce(given: dict[str, Any]) -> None:
    from percuss.cli.console import given_command, talk
    from percuss.pipeline.reproduce import reproduce as run

    names = ("out", "protocol", "quick", "seed", "batch_size", "device", "threads")
    done = run(
        given["name"],
        data=given["data"] or (),
        settings=dict(_setting(text) for text in given["settings"] or ()),
        progress=talk(quiet=given["quiet"]),
        command=given_command(),
        allow_code=given["allow_code"] or None,
        **{name: given[name] for name in names},
    )
    if given["as_json"]:
        print((done.path / "results.json").read_text(encoding="utf-8"), end="")
    elif not given["quiet"]:
        print("\n\n".join(table.text() for table in done.tables))
        print(f"\nreport: {done.report}")


def _setting(text: str) -> tuple[str, Any]:
    """Name and value of ``NAME=VALUE``; the value as TOML has it, or else as text."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise UsageError("a setting has no value", value=text, allowed="NAME=VALUE", next_step="write --set epochs=5")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value
