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

#: What became of the work of a command that was interrupted: each act is one transaction, all the rest only reads.
DONE_OR_NOT = "It was done whole or not at all: give the same command again, which says so where it was done."
ANEW = "Give the same command again: it begins anew."

study.command("plan")(guarded(plan, interrupted=ANEW))
study.command("create")(guarded(create, interrupted=ANEW))
study.command("enrol")(guarded(enrol, interrupted=DONE_OR_NOT))
study.command("serve")(guarded(serve, interrupted=ANEW))
study.command("status")(guarded(status, interrupted=ANEW))
study.command("close")(guarded(close, interrupted=DONE_OR_NOT))
study.command("results")(guarded(results, interrupted=ANEW))
study.command("verify")(guarded(verify, interrupted=ANEW))
study.command("export")(guarded(export, interrupted=ANEW))
study.command("revoke")(guarded(revoke, interrupted=DONE_OR_NOT))
study.command("renew")(guarded(renew, interrupted=DONE_OR_NOT))
study.command("override")(guarded(override, interrupted=DONE_OR_NOT))
study.command("amend")(guarded(amend, interrupted=DONE_OR_NOT))
