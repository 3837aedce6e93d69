"""percuss study: the commands of a reader study, one file each."""

from __future__ import annotations

import typer

from percuss.cli.exits import guarded
from percuss.cli.study_plan import plan

study = typer.Typer(
    help="The reader study: do experts see the change, and are they misled by it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

study.command("plan")(guarded(plan))
