"""percuss study: the commands of a reader study, one file each."""

from __future__ import annotations

import typer

from percuss.cli.exits import guarded
from percuss.cli.study_amend import amend
from percuss.cli.study_close import close
from percuss.cli.study_create import create
from percuss.cli.study_enrol import enrol
from percuss.cli.study_export import export
from percuss.cli.study_override import override
from percuss.cli.study_plan import plan
from percuss.cli.study_renew import renew
from percuss.cli.study_results import results
from percuss.cli.study_revoke import revoke
from percuss.cli.study_serve import serve
from percuss.cli.study_status import status
from percuss.cli.study_verify import verify

study = typer.Typer(
    help="The reader study: do experts see the change, and are they misled by it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

study.command("plan")(guarded(plan))
study.command("create")(guarded(create))
study.command("enrol")(guarded(enrol))
study.command("serve")(guarded(serve))
study.command("status")(guarded(status))
study.command("close")(guarded(close))
study.command("results")(guarded(results))
study.command("verify")(guarded(verify))
study.command("export")(guarded(export))
study.command("revoke")(guarded(revoke))
study.command("renew")(guarded(renew))
study.command("override")(guarded(override))
study.command("amend")(guarded(amend))
